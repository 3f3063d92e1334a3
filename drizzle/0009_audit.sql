CREATE TABLE "audittrail_audit_checkpoints" (
	"size" bigint PRIMARY KEY NOT NULL,
	"root" "bytea" NOT NULL,
	"note" text NOT NULL,
	"made_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "audittrail_audit_events" (
	"index" bigint PRIMARY KEY NOT NULL,
	"leaf" text NOT NULL,
	"hash" "bytea" NOT NULL,
	"seal" "bytea" NOT NULL,
	"process" text NOT NULL,
	"n" bigint NOT NULL,
	"time" timestamp with time zone NOT NULL,
	"type" text NOT NULL,
	"by_id" uuid,
	"about_id" uuid,
	"outcome" text NOT NULL,
	"by_private" text,
	"about_private" text,
	CONSTRAINT "audittrail_audit_events_process_n" UNIQUE("process","n"),
	CONSTRAINT "audittrail_audit_events_hash_length" CHECK (octet_length("audittrail_audit_events"."hash") = 32)
);
--> statement-breakpoint
CREATE TABLE "audittrail_audit_nodes" (
	"level" smallint NOT NULL,
	"index" bigint NOT NULL,
	"hash" "bytea" NOT NULL,
	CONSTRAINT "audittrail_audit_nodes_level_index_pk" PRIMARY KEY("level","index")
);
--> statement-breakpoint
CREATE TABLE "audittrail_audit_pending" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audittrail_audit_pending_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"process" text NOT NULL,
	"n" bigint NOT NULL,
	"leaf" text NOT NULL,
	"by_private" text,
	"about_private" text,
	"mac" "bytea" NOT NULL,
	"refused_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "audittrail_audit_state" (
	"id" integer PRIMARY KEY NOT NULL,
	"origin" text NOT NULL
);
--> statement-breakpoint
CREATE INDEX "audittrail_audit_events_time" ON "audittrail_audit_events" USING btree ("time");--> statement-breakpoint
CREATE INDEX "audittrail_audit_events_type" ON "audittrail_audit_events" USING btree ("type","index");--> statement-breakpoint
CREATE INDEX "audittrail_audit_events_by" ON "audittrail_audit_events" USING btree ("by_id","index") WHERE "audittrail_audit_events"."by_id" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audittrail_audit_events_about" ON "audittrail_audit_events" USING btree ("about_id","index") WHERE "audittrail_audit_events"."about_id" IS NOT NULL;--> statement-breakpoint
ALTER TABLE "audittrail_audit_pending" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
