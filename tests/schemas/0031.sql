BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0031');
CREATE TABLE "approvals" (
	broadcast_id INTEGER NOT NULL, 
	approver_id BIGINT NOT NULL, 
	approver_name VARCHAR(100) NOT NULL, 
	revision INTEGER NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	at DATETIME NOT NULL, template VARCHAR(100), named BOOLEAN DEFAULT 0 NOT NULL, covers BOOLEAN DEFAULT 0 NOT NULL, series BIGINT, 
	CONSTRAINT pk_approvals PRIMARY KEY (broadcast_id, approver_id), 
	CONSTRAINT fk_approvals_broadcast_id_revision FOREIGN KEY(broadcast_id, revision) REFERENCES revisions (broadcast_id, revision), 
	CONSTRAINT fk_approvals_broadcast_id_revision_fingerprint FOREIGN KEY(broadcast_id, revision, fingerprint) REFERENCES broadcasts (id, revision, fingerprint)
);
INSERT INTO "approvals" VALUES(2,102,'Omar',1,'f2','2026-11-01 09:42:00',NULL,0,0,NULL);
CREATE TABLE attempts (
	delivery_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	started_at DATETIME NOT NULL, 
	finished_at DATETIME, 
	http_status INTEGER, 
	bytes_left BOOLEAN, 
	outcome VARCHAR(16), 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_attempts PRIMARY KEY (delivery_id, number), 
	CONSTRAINT fk_attempts_delivery_id FOREIGN KEY(delivery_id) REFERENCES deliveries (id)
);
INSERT INTO "attempts" VALUES(1,1,'2026-11-01 09:41:00','2026-11-01 09:41:01',NULL,NULL,NULL,'');
CREATE TABLE audit_events (
	guild_id BIGINT NOT NULL, 
	sequence BIGINT NOT NULL, 
	at DATETIME NOT NULL, 
	actor_id BIGINT NOT NULL, 
	actor_name VARCHAR(100) NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	broadcast_id BIGINT, 
	proof VARCHAR(16) NOT NULL, 
	detail TEXT NOT NULL, 
	previous VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_audit_events PRIMARY KEY (guild_id, sequence), 
	CONSTRAINT uq_audit_events_guild_id_previous UNIQUE (guild_id, previous)
);
INSERT INTO "audit_events" VALUES(7,1,'2026-11-01 09:41:00',101,'Maya','composed',1,'F1','for Gold members','p','d');
CREATE TABLE broadcasts (
	id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	author_id BIGINT NOT NULL, 
	author_name VARCHAR(100) NOT NULL, 
	audience VARCHAR(100) NOT NULL, 
	notification TEXT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	revision INTEGER NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	origin_channel_id BIGINT NOT NULL, 
	note TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	due_at DATETIME, 
	review_expires_at DATETIME, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, repeats BIGINT, remind_at DATETIME, nonce VARCHAR(32) DEFAULT '' NOT NULL, confirmed JSON DEFAULT '[]' NOT NULL, schedule TEXT, scheduled_at DATETIME, timeless VARCHAR(64), in_quiet_hours BOOLEAN DEFAULT 0 NOT NULL, corrects BIGINT, series BIGINT, counted TEXT, count_id BIGINT, test_of BIGINT, listed TEXT, 
	CONSTRAINT pk_broadcasts PRIMARY KEY (id)
);
INSERT INTO "broadcasts" VALUES(1,7,101,'Maya','Gold members','{"topic":"news","all":{"subject":"We are live","content":"Come in"}}','sent',1,'f1',3,'','',NULL,NULL,'2026-11-01 09:41:00','2026-11-01 09:41:00',NULL,NULL,'','[]',NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "broadcasts" VALUES(2,7,101,'Maya','Gold members','{"topic":"news","all":{"subject":"We are live","content":"Come in"}}','review',1,'f2',3,'a note','',NULL,NULL,'2026-11-01 09:41:00','2026-11-01 09:41:00',NULL,NULL,'','[]',NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE cards (
	id INTEGER NOT NULL, 
	broadcast_id INTEGER NOT NULL, 
	channel_id BIGINT NOT NULL, 
	message_id BIGINT, 
	current BOOLEAN NOT NULL, 
	wanted INTEGER NOT NULL, 
	shown INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	next_at DATETIME NOT NULL, remade INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_cards PRIMARY KEY (id), 
	CONSTRAINT fk_cards_broadcast_id FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id)
);
INSERT INTO "cards" VALUES(1,2,11,900,1,2,1,0,'2026-11-01 09:41:00',0);
CREATE TABLE counts (
	id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	account VARCHAR(100) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	broadcast_id INTEGER, 
	wanted_at DATETIME, 
	sources TEXT NOT NULL, 
	so_far INTEGER NOT NULL, 
	rows INTEGER NOT NULL, 
	nameless INTEGER NOT NULL, 
	pages INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	next_at DATETIME NOT NULL, 
	owner VARCHAR(64), 
	lease_until DATETIME, 
	people INTEGER, 
	why TEXT NOT NULL, 
	counted_at DATETIME, 
	CONSTRAINT pk_counts PRIMARY KEY (id), 
	CONSTRAINT fk_counts_broadcast_id FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id)
);
CREATE TABLE deliveries (
	id INTEGER NOT NULL, 
	broadcast_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	method VARCHAR(8) NOT NULL, 
	url TEXT NOT NULL, 
	headers JSON NOT NULL, 
	body BLOB NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	next_at DATETIME NOT NULL, 
	detail TEXT NOT NULL, owner VARCHAR(64), lease_until DATETIME, account VARCHAR(100) DEFAULT 'whop' NOT NULL, guild_id BIGINT DEFAULT '0' NOT NULL, turn BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_deliveries PRIMARY KEY (id), 
	CONSTRAINT fk_deliveries_broadcast_id FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id), 
	CONSTRAINT uq_deliveries_broadcast_id_position UNIQUE (broadcast_id, position)
);
INSERT INTO "deliveries" VALUES(1,1,1,'POST','https://api.whop.com','{}','','accepted',1,'2026-11-01 09:41:00','',NULL,NULL,'whop',0,0);
CREATE TABLE ended (
	guild_id BIGINT NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	number BIGINT NOT NULL, 
	CONSTRAINT pk_ended PRIMARY KEY (guild_id, status)
);
INSERT INTO "ended" VALUES(7,'sent',1);
CREATE TABLE everyday_revisions (
	template_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	editor_id BIGINT NOT NULL, 
	editor_name VARCHAR(100) NOT NULL, 
	outline TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_everyday_revisions PRIMARY KEY (template_id, revision), 
	CONSTRAINT fk_everyday_revisions_template_id FOREIGN KEY(template_id) REFERENCES everyday_templates (id)
);
CREATE TABLE everyday_templates (
	id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	author_id BIGINT NOT NULL, 
	author_name VARCHAR(100) NOT NULL, 
	revision INTEGER NOT NULL, 
	retired BOOLEAN NOT NULL, 
	CONSTRAINT pk_everyday_templates PRIMARY KEY (id)
);
CREATE TABLE facts (
	name VARCHAR(100) NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('unknown answers in a row','2');
CREATE TABLE freezes (
	guild_id BIGINT NOT NULL, 
	account VARCHAR(100) NOT NULL, 
	by_id BIGINT NOT NULL, 
	by_name VARCHAR(100) NOT NULL, 
	at DATETIME NOT NULL, 
	reason TEXT NOT NULL, 
	CONSTRAINT pk_freezes PRIMARY KEY (guild_id, account)
);
INSERT INTO "freezes" VALUES(7,'',103,'Lena','2026-11-01 09:43:00','Wrong price');
INSERT INTO "freezes" VALUES(0,'',0,'the host','2026-11-01 09:44:00','All');
CREATE TABLE history (
	counter BIGINT NOT NULL, 
	mark VARCHAR(64) NOT NULL, 
	identity VARCHAR(100) NOT NULL, 
	CONSTRAINT pk_history PRIMARY KEY (counter)
);
CREATE TABLE interactions (
	id BIGINT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_interactions PRIMARY KEY (id)
);
CREATE TABLE kept_forms (
	guild_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	form VARCHAR(32) NOT NULL, 
	number BIGINT NOT NULL, 
	fields JSON NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_kept_forms PRIMARY KEY (guild_id, user_id)
);
CREATE TABLE link_codes (
	guild_id BIGINT NOT NULL, 
	account VARCHAR(100) NOT NULL, 
	person_id BIGINT NOT NULL, 
	person_name VARCHAR(100) NOT NULL, 
	whop_id VARCHAR(80) NOT NULL, 
	whop_name VARCHAR(100) NOT NULL, 
	experience VARCHAR(80), 
	origin TEXT NOT NULL, 
	broadcast_id BIGINT NOT NULL, 
	salt VARCHAR(32) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	tries INTEGER NOT NULL, 
	expires_at DATETIME NOT NULL, 
	CONSTRAINT pk_link_codes PRIMARY KEY (guild_id, account, person_id)
);
CREATE TABLE links (
	guild_id BIGINT NOT NULL, 
	account VARCHAR(100) NOT NULL, 
	person_id BIGINT NOT NULL, 
	person_name VARCHAR(100) NOT NULL, 
	whop_id VARCHAR(80) NOT NULL, 
	whop_name VARCHAR(100) NOT NULL, 
	experience VARCHAR(80), 
	origin TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_links PRIMARY KEY (guild_id, account, person_id), 
	CONSTRAINT uq_links_guild_id_account_whop_id UNIQUE (guild_id, account, whop_id)
);
CREATE TABLE list_rows (
	broadcast_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	typed VARCHAR(100) NOT NULL, 
	"key" VARCHAR(101) NOT NULL, 
	state VARCHAR(8) NOT NULL, 
	user_id VARCHAR(64), 
	username VARCHAR(100) DEFAULT '' NOT NULL, 
	why TEXT DEFAULT '' NOT NULL, 
	CONSTRAINT pk_list_rows PRIMARY KEY (broadcast_id, position), 
	CONSTRAINT fk_list_rows_broadcast_id FOREIGN KEY(broadcast_id) REFERENCES lists (broadcast_id)
);
CREATE TABLE lists (
	broadcast_id INTEGER NOT NULL, 
	account VARCHAR(100) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	experience VARCHAR(64), 
	repeats INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	sources TEXT NOT NULL, 
	step INTEGER NOT NULL, 
	tries INTEGER NOT NULL, 
	next_at DATETIME NOT NULL, 
	checked_at DATETIME, 
	dropped BOOLEAN DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_lists PRIMARY KEY (broadcast_id), 
	CONSTRAINT fk_lists_broadcast_id FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id)
);
CREATE TABLE loans (
	broadcast_id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	template VARCHAR(64) NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	person_id BIGINT NOT NULL, 
	at DATETIME NOT NULL, 
	void BOOLEAN NOT NULL, 
	CONSTRAINT pk_loans PRIMARY KEY (broadcast_id), 
	CONSTRAINT fk_loans_broadcast_id FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id)
);
CREATE TABLE members (
	guild_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	roles JSON, 
	at DATETIME NOT NULL, timed_out_until DATETIME, time_zone VARCHAR(64), 
	CONSTRAINT pk_members PRIMARY KEY (guild_id, user_id)
);
CREATE TABLE posts (
	id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	channel_id BIGINT NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	broadcast_id BIGINT, 
	sequence BIGINT, 
	step VARCHAR(16) NOT NULL, 
	message_id BIGINT, 
	done BOOLEAN NOT NULL, 
	failures INTEGER NOT NULL, 
	next_at DATETIME NOT NULL, trouble TEXT, words VARCHAR(64), edited_in BIGINT, gone_in BIGINT, remade INTEGER DEFAULT '0' NOT NULL, rank SMALLINT DEFAULT '2' NOT NULL, 
	CONSTRAINT pk_posts PRIMARY KEY (id)
);
INSERT INTO "posts" VALUES(1,7,12,'audit',1,1,'',NULL,0,0,'2026-11-01 09:41:00',NULL,NULL,NULL,NULL,0,2);
CREATE TABLE received (
	guild_id BIGINT NOT NULL, 
	person_id BIGINT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	broadcast_id BIGINT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_received PRIMARY KEY (guild_id, person_id, fingerprint)
);
CREATE TABLE recipients (
	count_id INTEGER NOT NULL, 
	via VARCHAR(64) NOT NULL, 
	user_id VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_recipients PRIMARY KEY (count_id, via, user_id), 
	CONSTRAINT fk_recipients_count_id FOREIGN KEY(count_id) REFERENCES counts (id), 
	CONSTRAINT uq_recipients_count_id_user_id UNIQUE (count_id, user_id)
);
CREATE TABLE refusals (
	guild_id BIGINT NOT NULL, 
	user_id BIGINT NOT NULL, 
	user_name VARCHAR(100) NOT NULL, 
	since DATETIME NOT NULL, 
	last DATETIME NOT NULL, 
	count INTEGER NOT NULL, 
	until DATETIME NOT NULL, 
	CONSTRAINT pk_refusals PRIMARY KEY (guild_id, user_id)
);
CREATE TABLE revisions (
	broadcast_id INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	editor_id BIGINT NOT NULL, 
	editor_name VARCHAR(100) NOT NULL, 
	notification TEXT NOT NULL, 
	at DATETIME NOT NULL, schedule TEXT, audience VARCHAR(100) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_revisions PRIMARY KEY (broadcast_id, revision), 
	CONSTRAINT fk_revisions_broadcast_id FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id)
);
INSERT INTO "revisions" VALUES(1,1,101,'Maya','{"topic":"news","all":{"subject":"We are live","content":"Come in"}}','2026-11-01 09:41:00',NULL,'Gold members');
INSERT INTO "revisions" VALUES(2,1,101,'Maya','{"topic":"news","all":{"subject":"We are live","content":"Come in"}}','2026-11-01 09:41:00',NULL,'Gold members');
CREATE TABLE search_index (
	broadcast_id INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	topic TEXT NOT NULL, 
	words TEXT NOT NULL, 
	CONSTRAINT pk_search_index PRIMARY KEY (broadcast_id), 
	CONSTRAINT fk_search_index_broadcast_id FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id)
);
INSERT INTO "search_index" VALUES(1,7,'news','we are live come in');
INSERT INTO "search_index" VALUES(2,7,'news','we are live come in');
CREATE TABLE searches (
	guild_id BIGINT NOT NULL, 
	mark VARCHAR(16) NOT NULL, 
	looked_for TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_searches PRIMARY KEY (guild_id, mark)
);
CREATE TABLE series (
	first INTEGER NOT NULL, 
	guild_id BIGINT NOT NULL, 
	author_id BIGINT NOT NULL, 
	author_name VARCHAR(100) NOT NULL, 
	audience VARCHAR(100) NOT NULL, 
	notification TEXT NOT NULL, 
	schedule TEXT NOT NULL, 
	every VARCHAR(16) NOT NULL, 
	times INTEGER, 
	until DATE, 
	made INTEGER NOT NULL, 
	next_at DATETIME, 
	make_at DATETIME, 
	status VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	origin_channel_id BIGINT NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_series PRIMARY KEY (first), 
	CONSTRAINT fk_series_first FOREIGN KEY(first) REFERENCES broadcasts (id)
);
CREATE TABLE shares (
	broadcast_id INTEGER NOT NULL, 
	person_id BIGINT NOT NULL, 
	person_name VARCHAR(100) NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_shares PRIMARY KEY (broadcast_id, person_id), 
	CONSTRAINT fk_shares_broadcast_id FOREIGN KEY(broadcast_id) REFERENCES broadcasts (id)
);
CREATE TABLE template_approvals (
	guild_id BIGINT NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	approver_id BIGINT NOT NULL, 
	approver_name VARCHAR(100) NOT NULL, 
	at DATETIME NOT NULL, 
	CONSTRAINT pk_template_approvals PRIMARY KEY (guild_id, fingerprint, approver_id)
);
CREATE INDEX ix_broadcasts_status_due_at ON broadcasts (status, due_at);
CREATE INDEX ix_cards_broadcast_id ON cards (broadcast_id);
CREATE INDEX ix_deliveries_status_next_at ON deliveries (status, next_at);
CREATE UNIQUE INDEX ix_broadcasts_id_revision_fingerprint ON broadcasts (id, revision, fingerprint);
CREATE TRIGGER approvals_insert BEFORE INSERT ON approvals
WHEN EXISTS (SELECT 1 FROM broadcasts WHERE id = NEW.broadcast_id AND author_id = NEW.approver_id)
  OR EXISTS (SELECT 1 FROM revisions WHERE broadcast_id = NEW.broadcast_id AND editor_id = NEW.approver_id)
BEGIN SELECT RAISE(ABORT, 'nobody approves what they wrote'); END;
CREATE TRIGGER revisions_insert BEFORE INSERT ON revisions
WHEN EXISTS (SELECT 1 FROM approvals WHERE broadcast_id = NEW.broadcast_id AND approver_id = NEW.editor_id)
BEGIN SELECT RAISE(ABORT, 'nobody approves what they wrote'); END;
CREATE TRIGGER revisions_replace BEFORE INSERT ON revisions
WHEN EXISTS (SELECT 1 FROM revisions WHERE broadcast_id = NEW.broadcast_id AND revision = NEW.revision)
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE TRIGGER revisions_delete BEFORE DELETE ON revisions
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE TRIGGER audit_events_replace BEFORE INSERT ON audit_events
WHEN EXISTS (
  SELECT 1 FROM audit_events
  WHERE guild_id = NEW.guild_id AND (sequence = NEW.sequence OR previous = NEW.previous)
)
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE TRIGGER audit_events_update BEFORE UPDATE ON audit_events
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE TRIGGER audit_events_delete BEFORE DELETE ON audit_events
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE INDEX ix_attempts_finished_at ON attempts (finished_at);
CREATE INDEX ix_posts_message_id ON posts (message_id);
CREATE INDEX ix_posts_guild_id_sequence ON posts (guild_id, sequence);
CREATE INDEX ix_broadcasts_guild_id_status_id ON broadcasts (guild_id, status, id);
CREATE INDEX ix_broadcasts_guild_id_author_id_status_id ON broadcasts (guild_id, author_id, status, id);
CREATE INDEX ix_broadcasts_guild_id_audience_id ON broadcasts (guild_id, audience, id);
CREATE INDEX ix_broadcasts_status_review_expires_at ON broadcasts (status, review_expires_at);
CREATE INDEX ix_deliveries_broadcast_id_status ON deliveries (broadcast_id, status);
CREATE INDEX ix_posts_guild_id_done_kind ON posts (guild_id, done, kind);
CREATE INDEX ix_audit_events_broadcast_id_sequence ON audit_events (broadcast_id, sequence);
CREATE INDEX ix_audit_events_guild_id_actor_id_sequence ON audit_events (guild_id, actor_id, sequence);
CREATE INDEX ix_audit_events_guild_id_proof_sequence ON audit_events (guild_id, proof, sequence);
CREATE INDEX ix_interactions_at ON interactions (at);
CREATE INDEX ix_audit_events_guild_id_day_sequence ON audit_events (guild_id, date(at), sequence);
CREATE INDEX ix_posts_told ON posts (guild_id) WHERE gone_in IS NOT NULL OR edited_in IS NOT NULL;
CREATE INDEX ix_refusals_until ON refusals (until);
CREATE INDEX ix_cards_message_id ON cards (message_id);
CREATE INDEX ix_cards_unshown ON cards (next_at, channel_id) WHERE shown < wanted;
CREATE INDEX ix_cards_of_channel ON cards (channel_id, next_at) WHERE shown < wanted;
CREATE INDEX ix_posts_undone ON posts (next_at, channel_id) WHERE done IS 0;
CREATE INDEX ix_posts_of_channel ON posts (channel_id, rank, id) WHERE done IS 0;
CREATE INDEX ix_broadcasts_remind_at ON broadcasts (remind_at);
CREATE INDEX ix_deliveries_waiting ON deliveries (guild_id, turn, next_at, id) WHERE status = 'pending';
CREATE TRIGGER approvals_update BEFORE UPDATE ON approvals
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE INDEX ix_loans_guild_id_at ON loans (guild_id, at);
CREATE INDEX ix_broadcasts_fingerprint_updated_at ON broadcasts (fingerprint, updated_at);
CREATE INDEX ix_broadcasts_repeats ON broadcasts (repeats) WHERE repeats IS NOT NULL;
CREATE INDEX ix_shares_person_id_broadcast_id ON shares (person_id, broadcast_id);
CREATE INDEX ix_broadcasts_timeless ON broadcasts (timeless, updated_at) WHERE timeless IS NOT NULL;
CREATE INDEX ix_search_index_guild_id_topic_broadcast_id ON search_index (guild_id, topic, broadcast_id);
CREATE INDEX ix_searches_at ON searches (at);
CREATE INDEX ix_approvals_approver_id_broadcast_id ON approvals (approver_id, broadcast_id);
CREATE INDEX ix_broadcasts_guild_id_day_id ON broadcasts (guild_id, date(updated_at), id);
CREATE INDEX ix_everyday_templates_guild_id_retired_id ON everyday_templates (guild_id, retired, id);
CREATE UNIQUE INDEX ix_everyday_templates_named ON everyday_templates (guild_id, name) WHERE NOT retired;
CREATE TRIGGER everyday_revisions_replace BEFORE INSERT ON everyday_revisions
WHEN EXISTS (
  SELECT 1 FROM everyday_revisions WHERE template_id = NEW.template_id AND revision = NEW.revision
)
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE TRIGGER everyday_revisions_update BEFORE UPDATE ON everyday_revisions
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE TRIGGER everyday_revisions_delete BEFORE DELETE ON everyday_revisions
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE INDEX ix_broadcasts_corrects ON broadcasts (corrects) WHERE corrects IS NOT NULL;
CREATE INDEX ix_series_make_at ON series (make_at);
CREATE INDEX ix_series_guild_id_status_first ON series (guild_id, status, first);
CREATE INDEX ix_broadcasts_series ON broadcasts (series) WHERE series IS NOT NULL;
CREATE INDEX ix_counts_wanted ON counts (next_at, id) WHERE wanted_at IS NOT NULL;
CREATE UNIQUE INDEX ix_counts_digest ON counts (account, digest) WHERE broadcast_id IS NULL;
CREATE UNIQUE INDEX ix_counts_broadcast_id ON counts (broadcast_id) WHERE broadcast_id IS NOT NULL;
CREATE INDEX ix_broadcasts_tests ON broadcasts (guild_id, author_id, created_at) WHERE test_of IS NOT NULL;
CREATE TRIGGER broadcasts_ended AFTER UPDATE OF status ON broadcasts WHEN NEW.status <> OLD.status AND NEW.status IN ('sent', 'partial', 'failed', 'cancelled') AND NEW.test_of IS NULL BEGIN INSERT INTO ended (guild_id, status, number) VALUES (NEW.guild_id, NEW.status, 1) ON CONFLICT (guild_id, status) DO UPDATE SET number = ended.number + 1; END;
CREATE TRIGGER revisions_update BEFORE UPDATE ON revisions
BEGIN SELECT RAISE(ABORT, 'what was written is never changed'); END;
CREATE INDEX ix_lists_next_at ON lists (next_at) WHERE checked_at IS NULL;
CREATE INDEX ix_list_rows_broadcast_id_state_position ON list_rows (broadcast_id, state, position);
CREATE INDEX ix_list_rows_broadcast_id_key ON list_rows (broadcast_id, "key");
CREATE INDEX ix_list_rows_broadcast_id_user_id ON list_rows (broadcast_id, user_id);
COMMIT;
