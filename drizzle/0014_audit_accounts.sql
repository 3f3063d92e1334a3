CREATE TABLE "audittrail_audit_accounts" (
	"id" integer PRIMARY KEY NOT NULL,
	"salt" "bytea" NOT NULL,
	"baseline_after" uuid,
	"is_complete" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
INSERT INTO "audittrail_audit_accounts" ("id", "salt")
VALUES (1, decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'));
