-- SPDX-License-Identifier: Apache-2.0
-- The ordinary mix of a tenant's database, and what each major brought. Executed by the tests with
-- :tenant and :reader replaced by role names. Lines that begin with --since15 are for servers of
-- major 15 and newer.

SET search_path TO public;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gist;
ALTER DEFAULT PRIVILEGES FOR ROLE :tenant GRANT SELECT ON TABLES TO :reader;
ALTER DEFAULT PRIVILEGES FOR ROLE :tenant REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE SCHEMA shop AUTHORIZATION :tenant;
GRANT USAGE ON SCHEMA shop TO :reader;
COMMENT ON SCHEMA shop IS 'what is sold';
SET ROLE :tenant;
SET search_path TO shop, public;

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);
CREATE COLLATION by_code (PROVIDER = libc, LOCALE = 'C');

CREATE TABLE every_type (
  id bigint GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5) PRIMARY KEY,
  small smallint, whole integer, big bigint, exact numeric(30, 10), single real, double double precision,
  truth boolean, word varchar(20), letters char(4), body text, sorted text COLLATE by_code, bytes bytea,
  day date, clock time, clock_zone timetz, moment timestamp, moment_zone timestamptz, span interval,
  j json, jb jsonb, path jsonpath, x xml, u uuid, address inet, network cidr, mac macaddr, mac8 macaddr8,
  bits bit(3), bits_varying bit varying(9), point point, line line, box box, circle circle,
  polygon polygon, range_whole int4range, range_exact numrange, range_day daterange,
  range_moment tstzrange, vector tsvector, query tsquery, price money, lsn pg_lsn, snapshot pg_snapshot,
  m mood, p positive, c pair, list text[], grid integer[][], moods mood[], pairs pair[],
  search tsvector GENERATED ALWAYS AS (to_tsvector('simple', coalesce(body, ''))) STORED);
INSERT INTO every_type (small, whole, big, exact, single, double, truth, word, letters, body, sorted,
  bytes, day, clock, clock_zone, moment, moment_zone, span, j, jb, path, x, u, address, network, mac,
  mac8, bits, bits_varying, point, line, box, circle, polygon, range_whole, range_exact, range_day,
  range_moment, vector, query, price, lsn, snapshot, m, p, c, list, grid, moods, pairs) VALUES
 (-32768, 2147483647, -9223372036854775808, 12345678901234567890.0123456789, 1e-30, 0.1::float8 + 0.2,
  true, 'wörd', 'ab', E'tab\t nl\n \\ "q" €', 'Zeta', '\x00ff5c0a', '0044-03-15 BC', '24:00', '12:00+05:45',
  'infinity', '2026-02-28 23:59:59.999999+05:45', '1 year -2 days 00:00:00.000001', '{"b": 1.10,  "a": []}',
  '{"b": 1.10, "a": []}', '$.a[*] ? (@ > 1)', '<a>b</a>', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'101', B'', '(1,2)', '{1,2,3}',
  '((0,0),(1,1))', '<(1,2),3>', '((0,0),(1,1),(2,0))', '[1,5)', '(,1.5]', '[2026-01-01,)', 'empty',
  to_tsvector('english', 'a fat cat'), 'fat & cat', 12.34, '16/B374D848', '10:20:10,14,15', 'ok', 7,
  '(1,"a b")', '{NULL,"",a,"x,y"}', '{{1,2},{3,4}}', '{sad,happy}', '{"(1,x)",NULL}'),
 (NULL, NULL, NULL, 'NaN', '-Infinity', 'NaN', NULL, '', '', '', '', '', '-infinity', NULL, NULL, NULL,
  '-infinity', '-178000000 years', 'null', 'null', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL, NULL, 'empty', NULL, NULL, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, '(,)',
  '{}', '{}', NULL, NULL);

CREATE TABLE customer (id serial PRIMARY KEY, name text NOT NULL, email text UNIQUE, boss int REFERENCES customer
  DEFERRABLE INITIALLY DEFERRED, feeling mood DEFAULT 'ok', CHECK (length(name) > 0));
INSERT INTO customer (name, email, boss) SELECT 'Ökonom ' || i, CASE WHEN i % 5 > 0 THEN 'c' || i || '@x' END, nullif(i / 7, 0)
  FROM generate_series(1, 2000) i;
SET CONSTRAINTS ALL IMMEDIATE;
CREATE INDEX customer_trgm ON customer USING gin (name gin_trgm_ops);
CREATE INDEX customer_lower ON customer (lower(name)) INCLUDE (email) WHERE email IS NOT NULL;
ALTER TABLE customer CLUSTER ON customer_pkey;
ALTER TABLE customer ALTER COLUMN name SET STATISTICS 300;
CREATE STATISTICS customer_together (dependencies, ndistinct, mcv) ON name, email FROM customer;
COMMENT ON TABLE customer IS 'who buys';
COMMENT ON COLUMN customer.boss IS 'a customer''s boss';
COMMENT ON INDEX customer_trgm IS 'for the search box';

CREATE TABLE item (id int, region text, at date NOT NULL, amount numeric DEFAULT 1.5, customer int REFERENCES customer ON DELETE CASCADE,
  PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE item_north PARTITION OF item FOR VALUES IN ('n') PARTITION BY RANGE (id);
CREATE TABLE item_north_1 PARTITION OF item_north FOR VALUES FROM (MINVALUE) TO (500);
CREATE TABLE item_north_2 PARTITION OF item_north FOR VALUES FROM (500) TO (MAXVALUE);
CREATE TABLE item_south (at date NOT NULL, customer int, region text NOT NULL, amount numeric, id int NOT NULL);
ALTER TABLE item ATTACH PARTITION item_south FOR VALUES IN ('s');
CREATE TABLE item_rest PARTITION OF item DEFAULT;
CREATE INDEX item_at ON item (at, amount DESC NULLS LAST);
INSERT INTO item SELECT i, (ARRAY['n', 's', 'x', 'y'])[1 + i % 4], '2026-01-01'::date + i, i / 7.0, 1 + i % 2000 FROM generate_series(1, 1000) i;
CREATE TABLE item_note (id int, region text, note text, FOREIGN KEY (id, region) REFERENCES item);
INSERT INTO item_note SELECT id, region, 'n' || id FROM item WHERE id % 10 = 0;

CREATE TABLE booking (room int, during tstzrange, EXCLUDE USING gist (room WITH =, during WITH &&));
INSERT INTO booking SELECT i % 3, tstzrange('2026-01-01'::timestamptz + i * interval '1 day', '2026-01-02'::timestamptz + i * interval '1 day')
  FROM generate_series(1, 30) i;
CREATE TABLE hash_part (a int, b text) PARTITION BY HASH (a);
CREATE TABLE hash_part_0 PARTITION OF hash_part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hash_part_1 PARTITION OF hash_part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hash_part SELECT i, 'h' || i FROM generate_series(1, 50) i;
CREATE TABLE old_base (id int NOT NULL, gone int, kind text);
CREATE TABLE old_child (more text) INHERITS (old_base);
ALTER TABLE old_base DROP COLUMN gone;
INSERT INTO old_base VALUES (1, 'base');
INSERT INTO old_child VALUES (2, 'child', 'more');
CREATE TABLE unproven (id int, customer int);
INSERT INTO unproven VALUES (1, 999999);
ALTER TABLE unproven ADD CONSTRAINT unproven_customer FOREIGN KEY (customer) REFERENCES customer NOT VALID;
ALTER TABLE unproven ADD CONSTRAINT unproven_check CHECK (id > 5) NOT VALID;
CREATE TABLE loose_base (id int, kind text);
CREATE TABLE loose_child (more text) INHERITS (loose_base);
CREATE TABLE strict_child (id int NOT NULL, more text) INHERITS (old_base);
ALTER TABLE loose_child ALTER id SET NOT NULL;
INSERT INTO loose_child VALUES (1, NULL, 'x');
CREATE DOMAIN filled AS text NOT NULL CHECK (VALUE <> '');
CREATE TABLE renamed (before int NOT NULL, filled filled);
ALTER TABLE renamed RENAME before TO after;
ALTER TABLE renamed RENAME TO renamed_now;
INSERT INTO renamed_now VALUES (1, 'x');
CREATE UNLOGGED TABLE scratch (a int, b text);
INSERT INTO scratch VALUES (1, 'x'), (1, 'x'), (NULL, NULL);

CREATE SEQUENCE invoice START 1000 INCREMENT 3 MAXVALUE 100000 CYCLE;
SELECT nextval('invoice'), nextval('invoice');
CREATE SEQUENCE not_called AS smallint START 7;

CREATE FUNCTION bosses(customer) RETURNS bigint LANGUAGE sql STABLE SET search_path = shop AS
 'SELECT count(*) FROM customer c WHERE c.id = $1.boss';
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.amount := coalesce(NEW.amount, 0); RETURN NEW; END $$;
CREATE PROCEDURE forget(who int) LANGUAGE plpgsql AS 'BEGIN DELETE FROM shop.customer WHERE id = who; END';
CREATE PROCEDURE "Many ways"(a int, INOUT "b B" text, numeric DEFAULT round(1.5, 0), VARIADIC d int[] DEFAULT '{1,2}')
  LANGUAGE plpgsql AS 'BEGIN NULL; END';
COMMENT ON PROCEDURE forget IS 'forget(who integer)';
GRANT EXECUTE ON PROCEDURE "Many ways" TO :reader;
CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE TRIGGER item_amount BEFORE INSERT OR UPDATE OF amount ON item FOR EACH ROW EXECUTE FUNCTION note_change();
CREATE TRIGGER never BEFORE INSERT ON item_south FOR EACH ROW EXECUTE FUNCTION note_change();
ALTER TABLE item_south DISABLE TRIGGER never;

CREATE VIEW by_region AS SELECT i.region, c.feeling, count(*) AS items, sum(i.amount) AS amount FROM item i
  JOIN customer c ON c.id = i.customer WHERE c.feeling IN ('ok', 'happy') GROUP BY i.region, c.feeling;
CREATE VIEW by_key WITH (security_barrier) AS SELECT c.id, c.name, count(i.*) FROM customer c LEFT JOIN item i ON i.customer = c.id GROUP BY c.id;
CREATE MATERIALIZED VIEW summary AS SELECT region, sum(items) AS items FROM by_region GROUP BY region;
CREATE UNIQUE INDEX summary_region ON summary (region);
CREATE MATERIALIZED VIEW unfilled AS SELECT count(*) FROM summary WITH NO DATA;

ALTER TABLE item_note ENABLE ROW LEVEL SECURITY;
ALTER TABLE item_note FORCE ROW LEVEL SECURITY;
CREATE POLICY own_notes ON item_note FOR SELECT TO :reader USING (note LIKE 'n1%');
CREATE POLICY no_writes ON item_note AS RESTRICTIVE FOR UPDATE USING (false) WITH CHECK (id > 0);

GRANT SELECT, UPDATE (name) ON customer TO :reader;
GRANT SELECT ON summary TO :reader WITH GRANT OPTION;
GRANT ALL ON booking TO :reader;
GRANT USAGE ON SEQUENCE invoice TO PUBLIC;
GRANT EXECUTE ON FUNCTION bosses(customer) TO :reader;
GRANT USAGE ON TYPE mood TO :reader;
CREATE RULE note_it AS ON UPDATE TO unproven DO ALSO
  INSERT INTO item_note SELECT customer.id, 'n', name FROM customer WHERE customer.id = NEW.id AND boss IS NULL;
CREATE POLICY by_item ON item_note FOR SELECT USING (EXISTS (SELECT 1 FROM item WHERE item.id = item_note.id AND amount > 1));
CREATE VIEW described AS SELECT name || ' ' || coalesce(email, '') AS words, extract(year FROM now()) AS year,
  substring(name FROM 1 FOR 3) AS short, position('x' IN name) AS x, (SELECT max(at) FROM item WHERE item.customer = c.id) AS last,
  row_number() OVER (PARTITION BY feeling ORDER BY id) AS rank, overlay(name PLACING '-' FROM 2) AS hidden,
  moods.m AT TIME ZONE 'UTC' AS moment FROM customer c, LATERAL (SELECT '2026-01-01'::timestamptz AS m) moods WHERE id < 50;
CREATE RULE keep AS ON DELETE TO scratch DO INSTEAD NOTHING;

SELECT lo_from_bytea(70001, decode(repeat('00ff41', 500000), 'hex'));
GRANT SELECT ON LARGE OBJECT 70001 TO :reader;
COMMENT ON LARGE OBJECT 70001 IS 'a scan';

--since14 CREATE TABLE since_14 (a int4multirange, b text COMPRESSION pglz, c timestamptz);
--since14 INSERT INTO since_14 VALUES ('{[1,3), [7,9)}', repeat('b', 5000), '2026-01-01'), ('{}', NULL, NULL);
--since14 CREATE STATISTICS since_14_expression ON (length(b)), (lower(b)) FROM since_14;
--since14 CREATE FUNCTION since_14_body(a int) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) + a FROM customer; END;
--since14 CREATE FUNCTION since_14_columns(a int) RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC SELECT name || email FROM customer WHERE id = a AND EXISTS (SELECT 1 FROM item WHERE item.customer = customer.id); END;
--since14 CREATE PROCEDURE since_14_out(who int, OUT found text) LANGUAGE sql BEGIN ATOMIC SELECT name FROM customer WHERE id = who; END;
--since14 ALTER TABLE since_14 ADD CONSTRAINT infinite CHECK (isfinite(c));
--since15 CREATE TABLE since_15 (a int, b int, price numeric(3, -2), UNIQUE NULLS NOT DISTINCT (a), FOREIGN KEY (b) REFERENCES customer (id) ON DELETE SET NULL (b));
--since15 INSERT INTO since_15 VALUES (NULL, 1, 12345), (1, NULL, NULL);
--since15 CREATE VIEW since_15_invoker WITH (security_invoker) AS SELECT id FROM customer WHERE id < 3;
--since15 CREATE UNLOGGED SEQUENCE since_15_sequence START 5;
--since15 CREATE UNIQUE INDEX since_15_index ON since_15 (b) NULLS NOT DISTINCT;
--since16 CREATE COLLATION since_16_rules (PROVIDER = icu, LOCALE = 'und', RULES = '& b < a');
--since16 CREATE TABLE since_16 (a text STORAGE EXTERNAL, b text COLLATE since_16_rules, c jsonb CHECK (c IS JSON OBJECT));
--since16 INSERT INTO since_16 VALUES (repeat('e', 4000), 'ab', '{"a": 1}'), ('', 'ba', NULL);
--since16 CREATE INDEX since_16_index ON since_16 (b);
--since17 CREATE TABLE since_17 (id bigint GENERATED BY DEFAULT AS IDENTITY, room int, during int4range, EXCLUDE USING gist (room WITH =, during WITH &&)) PARTITION BY LIST (room);
--since17 CREATE TABLE since_17_1 PARTITION OF since_17 FOR VALUES IN (1);
--since17 CREATE TABLE since_17_2 PARTITION OF since_17 FOR VALUES IN (2, 3);
--since17 INSERT INTO since_17 (room, during) VALUES (1, '[1,5)'), (2, '[1,5)'), (3, '[1,5)'), (1, '[5,7)');
--since17 GRANT MAINTAIN ON customer TO :reader;
--since17 CREATE VIEW since_17_json AS SELECT * FROM JSON_TABLE('[{"a": 1}, {"a": 2}]'::jsonb, '$[*]' COLUMNS (a int PATH '$.a'));
--since18 CREATE TABLE since_18 (id int CONSTRAINT always_there NOT NULL NO INHERIT, net numeric, gross numeric GENERATED ALWAYS AS (net * 1.2), u uuid DEFAULT uuidv7(), late int, CONSTRAINT positive_net CHECK (net > 0) NOT ENFORCED);
--since18 INSERT INTO since_18 (id, net, u, late) VALUES (1, 10, '019535d9-3df7-79fb-b466-fa907fa17f9e', NULL), (2, -5, NULL, 4);
--since18 ALTER TABLE since_18 ADD CONSTRAINT late_there NOT NULL late NOT VALID;
--since18 COMMENT ON CONSTRAINT always_there ON since_18 IS 'has a name';
--since18 CREATE TABLE since_18_rate (item int, valid daterange, rate numeric, PRIMARY KEY (item, valid WITHOUT OVERLAPS));
--since18 INSERT INTO since_18_rate VALUES (1, '[2026-01-01,2026-02-01)', 1), (1, '[2026-02-01,)', 2);
--since18 CREATE TABLE since_18_sale (item int, valid daterange, FOREIGN KEY (item, PERIOD valid) REFERENCES since_18_rate (item, PERIOD valid));
--since18 INSERT INTO since_18_sale VALUES (1, '[2026-01-20,2026-02-10)');
--since18 CREATE TABLE since_18_loose (customer int, CONSTRAINT loose FOREIGN KEY (customer) REFERENCES customer NOT ENFORCED);
--since18 INSERT INTO since_18_loose VALUES (-1);
RESET ROLE;
CREATE PUBLICATION changes FOR TABLE shop.customer, shop.item WITH (publish = 'insert, update');
--since15 CREATE PUBLICATION since_15_some FOR TABLE shop.customer (id, name) WHERE (id > 3);
--since15 CREATE PUBLICATION since_15_schema FOR TABLES IN SCHEMA shop;
