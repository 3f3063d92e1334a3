"""Prints a hash of "old pass phrase" by each hasher of passlib and Werkzeug that is worth moving: NDJSON for import."""

import json

import passlib.hash
from werkzeug.security import generate_password_hash

names = ["argon2", "bcrypt", "bcrypt_sha256", "scrypt", "pbkdf2_sha1", "pbkdf2_sha256", "pbkdf2_sha512", "ldap_pbkdf2_sha256"]
users = {name: getattr(passlib.hash, name).hash("old pass phrase") for name in names}
users["werkzeug"] = generate_password_hash("old pass phrase")
users["werkzeug-sha512"] = generate_password_hash("old pass phrase", "pbkdf2:sha512")
for username, hashed_password in users.items():
    print(json.dumps({"username": username, "hashed_password": hashed_password}))
