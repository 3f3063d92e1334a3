ALTER TABLE "audittrail_sessions" ADD COLUMN "kind" text DEFAULT 'token' NOT NULL;--> statement-breakpoint
ALTER TABLE "audittrail_sessions" ADD COLUMN "cookie_generation" integer;--> statement-breakpoint
ALTER TABLE "audittrail_sessions" ADD COLUMN "cookie_rotated_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "audittrail_sessions" ADD COLUMN "is_persistent" boolean DEFAULT false NOT NULL;