CREATE TABLE "audittrail_keys" (
	"generation" integer PRIMARY KEY NOT NULL,
	"algorithm" text NOT NULL,
	"kid" text,
	"public_key" text,
	"private_key" text,
	"created_at" timestamp with time zone NOT NULL,
	"signs_from" timestamp with time zone NOT NULL,
	"verifies_until" timestamp with time zone,
	CONSTRAINT "audittrail_keys_kid_unique" UNIQUE("kid")
);
--> statement-breakpoint
ALTER TABLE "audittrail_instance" ADD COLUMN "secret_key_fingerprint" text;