CREATE TABLE "audittrail_audit_witnesses" (
	"name" text PRIMARY KEY NOT NULL,
	"size" bigint NOT NULL,
	"cosigned_at" timestamp with time zone,
	"claimed_until" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "audittrail_audit_checkpoints" ADD COLUMN "cosigned_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "audittrail_audit_checkpoints_cosigned" ON "audittrail_audit_checkpoints" USING btree ("size") WHERE "audittrail_audit_checkpoints"."cosigned_at" IS NOT NULL;