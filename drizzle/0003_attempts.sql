CREATE TABLE "audittrail_attempts" (
	"key" text PRIMARY KEY NOT NULL,
	"id" uuid DEFAULT gen_random_uuid() NOT NULL,
	"kind" text NOT NULL,
	"account" text,
	"username" varchar(50),
	"network" text,
	"failures" integer NOT NULL,
	"last_failed_at" timestamp with time zone NOT NULL,
	"forgotten_at" timestamp with time zone NOT NULL,
	CONSTRAINT "audittrail_attempts_id_unique" UNIQUE("id")
);
--> statement-breakpoint
CREATE INDEX "audittrail_attempts_forgotten_at" ON "audittrail_attempts" USING btree ("forgotten_at");--> statement-breakpoint
CREATE INDEX "audittrail_attempts_username" ON "audittrail_attempts" USING btree (lower("username" COLLATE "C"));