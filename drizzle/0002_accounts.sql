ALTER TABLE "audittrail_sessions" ADD COLUMN "refresh_generation" integer;--> statement-breakpoint
ALTER TABLE "audittrail_sessions" ADD COLUMN "rotated_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "users_administrators" ON "users" USING btree ("id") WHERE 'admin' = ANY ("users"."roles");