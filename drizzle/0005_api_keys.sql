CREATE TABLE "audittrail_api_keys" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"service_id" uuid NOT NULL,
	"digest" text NOT NULL,
	"scopes" text[] DEFAULT '{}' NOT NULL,
	"roles" text[] DEFAULT '{}' NOT NULL,
	"created_by" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone,
	"last_used_at" timestamp with time zone,
	"revoked_at" timestamp with time zone,
	"revoked_by" text,
	CONSTRAINT "audittrail_api_keys_digest_unique" UNIQUE("digest")
);
--> statement-breakpoint
CREATE TABLE "audittrail_services" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" varchar(50) NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "audittrail_api_keys" ADD CONSTRAINT "audittrail_api_keys_service_id_audittrail_services_id_fk" FOREIGN KEY ("service_id") REFERENCES "public"."audittrail_services"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "audittrail_api_keys_service_id" ON "audittrail_api_keys" USING btree ("service_id");--> statement-breakpoint
CREATE UNIQUE INDEX "audittrail_services_name_lower_unique" ON "audittrail_services" USING btree (lower("name" COLLATE "C"));