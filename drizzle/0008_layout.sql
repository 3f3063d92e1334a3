ALTER TABLE "audittrail_instance" ADD COLUMN "session_epoch" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "audittrail_instance" ADD COLUMN "epoch_began_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "audittrail_instance" ADD COLUMN "swept_epoch" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "audittrail_sessions" ADD COLUMN "sweep_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "audittrail_sessions" ADD COLUMN "epoch" integer;--> statement-breakpoint
ALTER TABLE "audittrail_sessions" SET (fillfactor = 80);--> statement-breakpoint
CREATE INDEX "audittrail_sessions_sweep_at" ON "audittrail_sessions" USING btree ("sweep_at") WHERE "audittrail_sessions"."sweep_at" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audittrail_sessions_unscheduled" ON "audittrail_sessions" USING btree ("id") WHERE "audittrail_sessions"."sweep_at" IS NULL;--> statement-breakpoint
DROP INDEX IF EXISTS "audittrail_sessions_expires_at";--> statement-breakpoint
CREATE INDEX "users_full_name_words" ON "users" USING gin (array_to_tsvector(array_remove(string_to_array(replace(replace(replace(replace(replace(replace(replace(replace(lower(left("full_name"::text, 200) COLLATE "default"), '-', ' '), '''', ' '), '.', ' '), ',', ' '), '(', ' '), '/', ' '), '"', ' '), E'\t', ' '), ' '), ''))) WITH (fastupdate = off);