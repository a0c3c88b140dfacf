BEGIN TRANSACTION;
CREATE TABLE analyses (
	recording_id VARCHAR(32) NOT NULL, 
	payload JSON NOT NULL, 
	review JSON NOT NULL, 
	events INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_analyses PRIMARY KEY (recording_id), 
	CONSTRAINT fk_analyses_recording_id FOREIGN KEY(recording_id) REFERENCES recordings (id) ON DELETE CASCADE
);
INSERT INTO "analyses" VALUES('00000000000000000000000000000008','{"schema":"micromimic.events/1","source":{"path":"interview.mp4"},"model":{"name":"flow-capsnet","version":"1","trained_on":"nothing","labels":["negative","positive","surprise"]},"events":[{"onset_frame":10,"apex_frame":20,"offset_frame":40,"onset_s":0.05,"apex_s":0.1,"offset_s":0.2,"label":"negative","kind":"micro","probabilities":{"negative":0.6,"positive":0.3,"surprise":0.1},"uncertain":false,"strength":1.25,"regions":{"chin":1.0}},{"onset_frame":110,"apex_frame":120,"offset_frame":140,"onset_s":0.55,"apex_s":0.6,"offset_s":0.7,"label":"negative","kind":"micro","probabilities":{"negative":0.6,"positive":0.3,"surprise":0.1},"uncertain":true,"strength":1.25,"regions":{"chin":1.0}},{"onset_frame":210,"apex_frame":220,"offset_frame":295,"onset_s":1.05,"apex_s":1.1,"offset_s":1.475,"label":"negative","kind":"micro","probabilities":{"negative":0.6,"positive":0.3,"surprise":0.1},"uncertain":false,"strength":1.25,"regions":{"chin":1.0}}],"warnings":["few frames \u2192 caf\u00e9"]}','{"schema":"micromimic.review/1","fps":200.0,"frames":1000,"frame_times":null}',3,'2026-03-04 09:00:11.250000');
INSERT INTO "analyses" VALUES('0000000000000000000000000000000d','{"schema":"micromimic.events/1","source":{"path":"interview.mp4"},"model":{"name":"flow-capsnet","version":"1","trained_on":"nothing","labels":["negative","positive","surprise"]},"events":[{"onset_frame":10,"apex_frame":20,"offset_frame":40,"onset_s":0.05,"apex_s":0.1,"offset_s":0.2,"label":"negative","kind":"micro","probabilities":{"negative":0.6,"positive":0.3,"surprise":0.1},"uncertain":false,"strength":1.25,"regions":{"chin":1.0}}],"warnings":["few frames \u2192 caf\u00e9"]}','{"schema":"micromimic.review/1","fps":200.0,"frames":1000,"frame_times":null}',1,'2026-03-04 09:00:23.250000');
INSERT INTO "analyses" VALUES('0000000000000000000000000000000f','{"schema":"micromimic.events/1","source":{"path":"interview.mp4"},"model":{"name":"flow-capsnet","version":"1","trained_on":"nothing","labels":["negative","positive","surprise"]},"events":[],"warnings":["few frames \u2192 caf\u00e9"]}','{"schema":"micromimic.review/1","fps":200.0,"frames":1000,"frame_times":null}',0,'2026-03-04 09:00:27.250000');
CREATE TABLE decisions (
	recording_id VARCHAR(32) NOT NULL, 
	coder TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	action TEXT NOT NULL, 
	event TEXT NOT NULL, 
	payload JSON NOT NULL, 
	target INTEGER, 
	decided_at DATETIME NOT NULL, 
	CONSTRAINT pk_decisions PRIMARY KEY (recording_id, coder, number), 
	CONSTRAINT fk_decisions_recording_id FOREIGN KEY(recording_id) REFERENCES recordings (id) ON DELETE CASCADE
);
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','kim',1,'accept','m0','{}',NULL,'2026-03-04 09:00:42.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','kim',2,'relabel','m1','{"label":"surprise","note":"brow only"}',NULL,'2026-03-04 09:00:43.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','kim',3,'reject','m2','{}',NULL,'2026-03-04 09:00:44.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','kim',4,'add','c4','{"label":"positive","onset_frame":500,"apex_frame":510,"offset_frame":540}',NULL,'2026-03-04 09:00:45.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','kim',5,'move','c4','{"apex_frame":512}',NULL,'2026-03-04 09:00:46.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','kim',6,'undo','','{}',5,'2026-03-04 09:00:47.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','kim',7,'redo','','{}',5,'2026-03-04 09:00:48.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','kim',8,'done','','{}',NULL,'2026-03-04 09:00:49.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','lee',1,'comment','m0','{"note":"unsure"}',NULL,'2026-03-04 09:00:50.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','lee',2,'reject','m0','{}',NULL,'2026-03-04 09:00:51.250000');
INSERT INTO "decisions" VALUES('00000000000000000000000000000008','lee',3,'undo','','{}',2,'2026-03-04 09:00:52.250000');
INSERT INTO "decisions" VALUES('0000000000000000000000000000000f','kim',1,'done','','{}',NULL,'2026-03-04 09:00:53.250000');
INSERT INTO "decisions" VALUES('0000000000000000000000000000000d','kim',1,'accept','m0','{}',NULL,'2026-03-04 09:00:54.250000');
CREATE TABLE jobs (
	id VARCHAR(32) NOT NULL, 
	recording_id VARCHAR(32) NOT NULL, 
	number INTEGER NOT NULL, 
	status TEXT NOT NULL, 
	stage TEXT NOT NULL, 
	done BIGINT NOT NULL, 
	total BIGINT, 
	attempts INTEGER NOT NULL, 
	error TEXT NOT NULL, 
	worker TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	started_at DATETIME, 
	finished_at DATETIME, 
	beat_at DATETIME, 
	CONSTRAINT pk_jobs PRIMARY KEY (id), 
	CONSTRAINT ck_jobs_status CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')), 
	CONSTRAINT uq_jobs_recording_id_number UNIQUE (recording_id, number), 
	CONSTRAINT fk_jobs_recording_id FOREIGN KEY(recording_id) REFERENCES recordings (id) ON DELETE CASCADE
);
INSERT INTO "jobs" VALUES('00000000000000000000000000000009','00000000000000000000000000000008',1,'done','tracking',120,2200,1,'','desk/1','2026-03-04 09:00:08.250000','2026-03-04 09:00:09.250000','2026-03-04 09:00:11.250000','2026-03-04 09:00:11.250000');
INSERT INTO "jobs" VALUES('0000000000000000000000000000000b','0000000000000000000000000000000a',1,'failed','tracking',120,2200,1,'expected a video, got text; pass a video','desk/1','2026-03-04 09:00:12.250000','2026-03-04 09:00:13.250000','2026-03-04 09:00:15.250000','2026-03-04 09:00:14.250000');
INSERT INTO "jobs" VALUES('0000000000000000000000000000000c','0000000000000000000000000000000a',2,'failed','tracking',120,2200,1,'again','desk/1','2026-03-04 09:00:16.250000','2026-03-04 09:00:17.250000','2026-03-04 09:00:19.250000','2026-03-04 09:00:18.250000');
INSERT INTO "jobs" VALUES('0000000000000000000000000000000e','0000000000000000000000000000000d',1,'done','tracking',120,2200,1,'','desk/1','2026-03-04 09:00:20.250000','2026-03-04 09:00:21.250000','2026-03-04 09:00:23.250000','2026-03-04 09:00:23.250000');
INSERT INTO "jobs" VALUES('00000000000000000000000000000010','0000000000000000000000000000000f',1,'done','tracking',120,2200,1,'','desk/1','2026-03-04 09:00:24.250000','2026-03-04 09:00:25.250000','2026-03-04 09:00:27.250000','2026-03-04 09:00:27.250000');
INSERT INTO "jobs" VALUES('00000000000000000000000000000012','00000000000000000000000000000011',1,'cancelled','',0,NULL,0,'consent was withdrawn','','2026-03-04 09:00:28.250000',NULL,'2026-03-04 09:00:29.250000',NULL);
INSERT INTO "jobs" VALUES('00000000000000000000000000000018','00000000000000000000000000000017',1,'running','tracking',120,2200,1,'','desk/1','2026-03-04 09:00:38.250000','2026-03-04 09:00:39.250000',NULL,'2026-03-04 09:00:40.250000');
INSERT INTO "jobs" VALUES('0000000000000000000000000000001a','00000000000000000000000000000019',1,'queued','',0,NULL,0,'','','2026-03-04 09:00:41.250000',NULL,NULL,NULL);
CREATE TABLE micromimic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT micromimic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "micromimic_version" VALUES('0002');
CREATE TABLE recordings (
	id VARCHAR(32) NOT NULL, 
	session_id VARCHAR(32), 
	name TEXT NOT NULL, 
	extension TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	fps FLOAT, 
	origin TEXT NOT NULL, 
	consent_given BOOLEAN, 
	consent_noted_by TEXT, 
	consent_note TEXT, 
	consent_noted_at DATETIME, 
	media TEXT NOT NULL, 
	uploaded_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	CONSTRAINT pk_recordings PRIMARY KEY (id), 
	CONSTRAINT ck_recordings_media CHECK (media IN ('kept', 'expired', 'none')), 
	CONSTRAINT fk_recordings_session_id FOREIGN KEY(session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
INSERT INTO "recordings" VALUES('00000000000000000000000000000008','00000000000000000000000000000004','interview.mp4','.mp4',6442450944,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',29.97,'upload',NULL,NULL,NULL,NULL,'kept','2026-03-04 09:00:08.250000','2026-04-03 09:00:00.250000');
INSERT INTO "recordings" VALUES('0000000000000000000000000000000a','00000000000000000000000000000004','broken.avi','.avi',6442450944,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',NULL,'upload',NULL,NULL,NULL,NULL,'kept','2026-03-04 09:00:12.250000',NULL);
INSERT INTO "recordings" VALUES('0000000000000000000000000000000d','00000000000000000000000000000005','interview.mp4','.mp4',6442450944,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',NULL,'upload',NULL,NULL,NULL,NULL,'expired','2026-03-04 09:00:20.250000','2026-03-05 09:00:00.250000');
INSERT INTO "recordings" VALUES('0000000000000000000000000000000f',NULL,'live 1.mp4','.mp4',6442450944,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',NULL,'live',1,'self','','2026-03-04 09:00:24.250000','kept','2026-03-04 09:00:24.250000',NULL);
INSERT INTO "recordings" VALUES('00000000000000000000000000000011','00000000000000000000000000000006','interview.mp4','.mp4',6442450944,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',NULL,'upload',NULL,NULL,NULL,NULL,'kept','2026-03-04 09:00:28.250000',NULL);
INSERT INTO "recordings" VALUES('00000000000000000000000000000017','00000000000000000000000000000005','interview.mp4','.mp4',6442450944,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',NULL,'upload',NULL,NULL,NULL,NULL,'kept','2026-03-04 09:00:38.250000',NULL);
INSERT INTO "recordings" VALUES('00000000000000000000000000000019','00000000000000000000000000000005','still waits.mp4','.mp4',6442450944,'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',NULL,'upload',NULL,NULL,NULL,NULL,'kept','2026-03-04 09:00:41.250000',NULL);
CREATE TABLE sessions (
	id VARCHAR(32) NOT NULL, 
	subject_id VARCHAR(32) NOT NULL, 
	title TEXT NOT NULL, 
	held_on DATE NOT NULL, 
	consent_given BOOLEAN NOT NULL, 
	consent_noted_by TEXT NOT NULL, 
	consent_note TEXT NOT NULL, 
	consent_noted_at DATETIME, 
	baseline BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_sessions PRIMARY KEY (id), 
	CONSTRAINT fk_sessions_subject_id FOREIGN KEY(subject_id) REFERENCES subjects (id) ON DELETE CASCADE
);
INSERT INTO "sessions" VALUES('00000000000000000000000000000004','00000000000000000000000000000001','intake','2026-03-01',1,'kim','signed form 12','2026-03-01 12:00:00.000000',1,'2026-03-04 09:00:04.250000');
INSERT INTO "sessions" VALUES('00000000000000000000000000000005','00000000000000000000000000000001','second','2026-03-02',1,'lee','','2026-03-04 09:00:05.250000',1,'2026-03-04 09:00:05.250000');
INSERT INTO "sessions" VALUES('00000000000000000000000000000006','00000000000000000000000000000002','','2026-02-28',0,'kim','withdrawn by letter','2026-03-04 09:00:29.250000',0,'2026-03-04 09:00:06.250000');
CREATE TABLE subjects (
	id VARCHAR(32) NOT NULL, 
	code TEXT NOT NULL, 
	note TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_subjects PRIMARY KEY (id), 
	CONSTRAINT uq_subjects_code UNIQUE (code)
);
INSERT INTO "subjects" VALUES('00000000000000000000000000000001','P 014','left-handed
Zoë''s own words','2026-03-04 09:00:01.250000');
INSERT INTO "subjects" VALUES('00000000000000000000000000000002','P-2','moved away','2026-03-04 09:00:02.250000');
CREATE INDEX ix_sessions_subject_id ON sessions (subject_id);
CREATE INDEX ix_recordings_session_id ON recordings (session_id);
CREATE INDEX ix_recordings_uploaded_at ON recordings (uploaded_at);
CREATE INDEX ix_recordings_expires_at ON recordings (expires_at);
CREATE INDEX ix_jobs_status_created_at ON jobs (status, created_at);
CREATE UNIQUE INDEX uq_jobs_active ON jobs (recording_id) WHERE status IN ('queued', 'running');
CREATE TRIGGER analyses_unchanged BEFORE UPDATE ON analyses BEGIN SELECT RAISE(ABORT, 'analyses are never changed'); END;
CREATE TRIGGER analyses_kept BEFORE DELETE ON analyses WHEN EXISTS (SELECT 1 FROM recordings WHERE id = OLD.recording_id) BEGIN SELECT RAISE(ABORT, 'analyses go only with their recording'); END;
CREATE TRIGGER decisions_unchanged BEFORE UPDATE ON decisions BEGIN SELECT RAISE(ABORT, 'decisions are never changed'); END;
CREATE TRIGGER decisions_kept BEFORE DELETE ON decisions WHEN EXISTS (SELECT 1 FROM recordings WHERE id = OLD.recording_id) BEGIN SELECT RAISE(ABORT, 'decisions go only with their recording'); END;
COMMIT;
