-- SPDX-License-Identifier: Apache-2.0
-- One small database with what loses data, or its shape, in moves that are less careful. Executed
-- by the tests with :tenant and :reader replaced by role names; as the admin role, since a tenant's
-- database also holds what the provider's admin made in it.

CREATE EXTENSION unaccent;
ALTER FUNCTION unaccent(text) IMMUTABLE;
CREATE EXTENSION pg_trgm;
COMMENT ON EXTENSION pg_trgm IS 'a comment of the tenant''s own';
CREATE EXTENSION btree_gist;
ALTER DEFAULT PRIVILEGES FOR ROLE :tenant IN SCHEMA public GRANT SELECT ON TABLES TO :reader;
ALTER DEFAULT PRIVILEGES FOR ROLE :tenant REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE SCHEMA "Odd schema" AUTHORIZATION :tenant;
GRANT USAGE ON SCHEMA "Odd schema" TO :reader;
GRANT CREATE ON SCHEMA public TO PUBLIC;
SET ROLE :tenant;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);

-- Names: quotes, newlines, 63 bytes, other scripts, keywords, a dot.
CREATE TABLE "Odd schema"."ta""ble
with newline" ("se""lect" integer PRIMARY KEY, "na
me" text, "a.b" text, "группа" text DEFAULT 'ж');
INSERT INTO "Odd schema"."ta""ble
with newline" VALUES (1, E'a\tb', 'x', 'й'), (2, NULL, '', E'back\\slash\nnewline'), (3, E'\\N', E'\\.', E'\\');
CREATE INDEX "odd index" ON "Odd schema"."ta""ble
with newline" ("na
me", lower("a.b"));
CREATE TABLE sixty_three_bytes_long_name_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ("order" int);
INSERT INTO sixty_three_bytes_long_name_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx VALUES (1);
COMMENT ON COLUMN "Odd schema"."ta""ble
with newline"."na
me" IS E'multi\nline ''comment''';

-- Values that lose something on the way.
CREATE TABLE "values" (id bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 7) PRIMARY KEY,
  t text, b bytea, n numeric, f float8, f4 real, ts timestamptz, d date, i interval, m mood, p positive,
  c pair, a text[], j jsonb, x xml, bit bit varying(9), inet inet, r int4range, money money, ch char(5),
  u uuid, tid tid, reg regclass);
INSERT INTO "values" (t, b, n, f, f4, ts, d, i, m, p, c, a, j, x, bit, inet, r, money, ch, u, tid, reg) VALUES
 ('', '', 'NaN', 'NaN', '-0', 'infinity', '-infinity', '1 year -2 days', 'ok', 5, '(1,"a b")', '{NULL,"",a}', '{"a": null}', '<a/>', B'101', '::1/64', '[1,3)', 12.34, 'ab', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '(0,1)', 'pg_class'),
 (NULL, NULL, 'Infinity', 'Infinity', 1e-30, '0044-03-15 12:00:00+00 BC', '5874897-12-31', '-178000000 years', NULL, NULL, NULL, '{}', 'null', NULL, NULL, NULL, 'empty', NULL, NULL, NULL, NULL, NULL),
 (E'tab\tnew\nline\\ "quote" \u20ac', '\x00ff5c6e', 0.1000000000000000000000000000000000001, 0.1::float8 + 0.2::float8, 3.4e38, '2026-02-28 23:59:59.999999+05:45', '2000-02-29', '00:00:00.000001', 'happy', 1, '(,)', '{{1,2},{3,4}}', '{"b": 1.10}', '<b>x</b>', B'', '10.0.0.1', '(,5]', '-0.01', '', NULL, NULL, NULL);

-- Inheritance with columns in another order, and a dropped column.
CREATE TABLE parent (id int, gone text, name text, kind text);
CREATE TABLE child (extra text, name text, id int, kind text);
ALTER TABLE child ADD COLUMN gone text;
ALTER TABLE child INHERIT parent;
ALTER TABLE parent DROP COLUMN gone;
ALTER TABLE parent ADD COLUMN late int DEFAULT 9;
INSERT INTO parent VALUES (1, 'one', 'name-of-parent');
INSERT INTO child (extra, name, id, kind) VALUES ('e', 'name-of-child', 2, 'kind-of-child');

-- Partitions, two levels, with keys and an index that is attached; one partition has another order.
CREATE TABLE part (id int, region text, at date, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_north PARTITION OF part FOR VALUES IN ('n') PARTITION BY RANGE (id);
CREATE TABLE part_north_1 PARTITION OF part_north FOR VALUES FROM (0) TO (100);
CREATE TABLE part_south (at date, region text NOT NULL, id int NOT NULL);
ALTER TABLE part ATTACH PARTITION part_south FOR VALUES IN ('s');
CREATE TABLE part_rest PARTITION OF part DEFAULT;
CREATE INDEX part_at ON part (at);
INSERT INTO part SELECT i, (ARRAY['n', 's', 'x'])[1 + i % 3], '2026-01-01'::date + i FROM generate_series(1, 90) i;

-- Generated columns, one unlogged table, one without a key and with rows that are there twice, one
-- without columns, one that is empty.
CREATE TABLE generated (a int, twice int GENERATED ALWAYS AS (a * 2) STORED, id serial);
INSERT INTO generated (a) SELECT generate_series(1, 10);
CREATE UNLOGGED TABLE unlogged (a int);
INSERT INTO unlogged VALUES (1), (2);
CREATE TABLE twins (a int, b text);
INSERT INTO twins VALUES (1, 'x'), (1, 'x'), (NULL, ''), (NULL, NULL);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE empty_table (id serial PRIMARY KEY);

-- Sequences: owned by nobody, not called yet, descending, at odd positions.
CREATE SEQUENCE unowned START 1000;
SELECT setval('unowned', 4711, false);
CREATE SEQUENCE "Odd schema"."inv oice" INCREMENT 5 CACHE 3 CYCLE MAXVALUE 100000;
SELECT nextval('"Odd schema"."inv oice"');
CREATE SEQUENCE downwards AS smallint INCREMENT -1 MINVALUE -50 START -3;

-- Indexes: on an extension's function that was marked immutable, partial, covering, by operator class.
CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, email text, boss int REFERENCES people DEFERRABLE INITIALLY DEFERRED, body text);
INSERT INTO people (name, email, boss, body) SELECT 'É' || i, CASE WHEN i % 7 > 0 THEN 'p' || i || '@x' END, NULLIF(i / 10, 0), repeat('long ', i % 400) FROM generate_series(1, 3000) i;
SET CONSTRAINTS ALL IMMEDIATE;
CREATE INDEX people_unaccent ON people (public.unaccent(name));
CREATE INDEX people_trgm ON people USING gin (name public.gin_trgm_ops);
CREATE UNIQUE INDEX people_email ON people (email) INCLUDE (name) WHERE email IS NOT NULL;
CREATE INDEX people_body ON people (md5(body) DESC NULLS LAST) WITH (fillfactor = 70);
ALTER TABLE people CLUSTER ON people_pkey;
ALTER TABLE people REPLICA IDENTITY USING INDEX people_pkey;
ALTER TABLE people ALTER COLUMN name SET STATISTICS 500;
ALTER TABLE people ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE STATISTICS people_stats (dependencies) ON name, email FROM people;

-- Constraints: exclusion, nulls not distinct, circular keys, one that rows violate.
CREATE TABLE rooms (room int, during int4range, EXCLUDE USING gist (room WITH =, during WITH &&));
INSERT INTO rooms VALUES (1, '[1,5)'), (1, '[5,9)');
CREATE TABLE nulls_once (a int, UNIQUE NULLS NOT DISTINCT (a));
INSERT INTO nulls_once VALUES (NULL), (1);
CREATE TABLE hen (id int PRIMARY KEY, egg int);
CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen ON DELETE CASCADE);
ALTER TABLE hen ADD CONSTRAINT hen_egg FOREIGN KEY (egg) REFERENCES egg ON UPDATE SET NULL DEFERRABLE;
INSERT INTO hen VALUES (1, NULL);
INSERT INTO egg VALUES (1, 1);
UPDATE hen SET egg = 1;
SET CONSTRAINTS ALL IMMEDIATE;
CREATE TABLE orphans (id int, person int);
INSERT INTO orphans VALUES (1, 999999);
ALTER TABLE orphans ADD CONSTRAINT orphans_person FOREIGN KEY (person) REFERENCES people NOT VALID;
ALTER TABLE orphans ADD CONSTRAINT orphans_check CHECK (id > 5) NOT VALID;
CREATE TABLE part_ref (id int, region text, FOREIGN KEY (id, region) REFERENCES part);
INSERT INTO part_ref SELECT id, region FROM part LIMIT 3;

-- Functions: one that finds its table by the search path, used by a check and an index.
CREATE FUNCTION known_mood(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
-- TOC entry 1 (class 1259 OID 1)
BEGIN RETURN length($1) > 0 AND (SELECT count(*) >= 0 FROM twins); END $$;
CREATE TABLE checked (m text CHECK (known_mood(m)));
INSERT INTO checked VALUES ('happy'), ('sad');
-- PostgreSQL 17 cannot build such an index for anybody; the tests put it in for older targets.
--older CREATE INDEX checked_idx ON checked ((known_mood(m)));
CREATE FUNCTION set_path() RETURNS int LANGUAGE sql SET search_path = public, "Odd schema" AS 'SELECT 1';
CREATE PROCEDURE proc(INOUT a int) LANGUAGE sql BEGIN ATOMIC SELECT a + 1; END;
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');

-- Triggers (one disabled, one always), rules, policies.
CREATE TABLE audit (n int);
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.audit VALUES (1); RETURN NEW; END';
CREATE TRIGGER a_on AFTER INSERT ON people FOR EACH ROW EXECUTE FUNCTION log_it();
CREATE TRIGGER b_off BEFORE INSERT ON twins FOR EACH ROW EXECUTE FUNCTION log_it();
ALTER TABLE twins DISABLE TRIGGER b_off;
CREATE TRIGGER c_always AFTER UPDATE ON twins FOR EACH ROW EXECUTE FUNCTION log_it();
ALTER TABLE twins ENABLE ALWAYS TRIGGER c_always;
CREATE RULE ignore AS ON DELETE TO twins DO INSTEAD NOTHING;
CREATE TABLE secret (owner text, what text);
INSERT INTO secret VALUES ('somebody else', 'x'), (current_user, 'y');
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
ALTER TABLE secret FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON secret FOR SELECT TO :reader USING (owner = current_user);

-- Views on views, one that needs a primary key, materialized ones that read each other, one not filled.
CREATE VIEW by_key AS SELECT id, name, count(*) FROM people GROUP BY id;
CREATE VIEW on_view WITH (security_barrier) AS SELECT name FROM by_key WHERE id < 100;
CREATE MATERIALIZED VIEW mat_base AS SELECT boss, count(*) AS reports FROM people GROUP BY boss;
CREATE VIEW between AS SELECT * FROM mat_base WHERE reports > 1;
CREATE MATERIALIZED VIEW a_mat_top AS SELECT count(*) AS n FROM between;
CREATE UNIQUE INDEX mat_base_idx ON mat_base (boss);
CREATE MATERIALIZED VIEW mat_empty AS SELECT 1 AS one WITH NO DATA;

-- Grants on everything, and by another grantor.
GRANT SELECT (name), UPDATE (email) ON people TO :reader;
GRANT SELECT ON "values" TO :reader WITH GRANT OPTION;
GRANT USAGE ON SEQUENCE unowned TO PUBLIC;
REVOKE ALL ON FUNCTION set_path() FROM PUBLIC;
GRANT USAGE ON TYPE mood TO :reader;
COMMENT ON TABLE people IS 'people''s table';
COMMENT ON CONSTRAINT hen_egg ON hen IS 'circular';
COMMENT ON INDEX people_trgm IS 'trigrams';

SELECT lo_from_bytea(424242, decode(repeat('00ff41', 700000), 'hex'));
SELECT lo_from_bytea(424243, '');
GRANT SELECT ON LARGE OBJECT 424242 TO :reader;
COMMENT ON LARGE OBJECT 424243 IS 'an empty one';
RESET ROLE;

CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS
 'BEGIN INSERT INTO public.audit VALUES (2); END';
CREATE EVENT TRIGGER tell ON ddl_command_end EXECUTE FUNCTION public.on_ddl();
CREATE PUBLICATION pub FOR TABLE public.people (id, name) WHERE (id > 3);
REFRESH MATERIALIZED VIEW public.mat_base;
REFRESH MATERIALIZED VIEW public.a_mat_top;
