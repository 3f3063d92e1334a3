/** Hashes that other software made of "correct horse battery staple". */
export const password = 'correct horse battery staple'

/** pwdlib 0.3, PasswordHash.recommended(): what current FastAPI templates use. */
export const hashByPwdlib =
  '$argon2id$v=19$m=65536,t=3,p=4$fQSHyUYru9irSpmZGQcL0g$I0UQQt9eDi+Tu/2ShUDCX+wfTdf8V3BlsKDm72te1J4'

/** argon2-cffi 21.1, PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4). */
export const hashByArgon2Cffi = '$argon2id$v=19$m=65536,t=3,p=4$eiGzzdTfxXLq9zKqkOMCbw$VI3RvOqCgwqzM6g67NmU2Q'
