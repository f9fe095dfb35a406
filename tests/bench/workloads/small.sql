-- SPDX-License-Identifier: Apache-2.0
--
-- 5,000 small tables: what a schema per customer or per month looks like to a mover. All have a
-- primary key and a few rows; every second an index, every fourth a foreign key to the table before
-- it, every tenth a serial column. Nothing is random, so every run gets the same database.

CREATE FUNCTION make_small_tables(first integer, last integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN first..last LOOP
    EXECUTE format(
      'CREATE TABLE small_%1$s (id %2$s PRIMARY KEY, parent_id bigint, name text NOT NULL, '
      'amount numeric(12,2) DEFAULT 0, active boolean, changed_at timestamptz)',
      to_char(i, 'FM00000'), CASE WHEN i % 10 = 0 THEN 'bigserial' ELSE 'bigint' END);
    EXECUTE format(
      'INSERT INTO small_%1$s SELECT k, 1 + k %% 3, md5(%2$s || ''-'' || k), k * 1.25, k %% 3 = 0, '
      'timestamptz ''2026-01-01 00:00:00+00'' + k * interval ''1 hour'' FROM generate_series(1, %3$s) k',
      to_char(i, 'FM00000'), i, 3 + i % 18);
    IF i % 2 = 0 THEN
      EXECUTE format('CREATE INDEX ON small_%s (name)', to_char(i, 'FM00000'));
    END IF;
    IF i % 4 = 0 THEN
      EXECUTE format('ALTER TABLE small_%s ADD FOREIGN KEY (parent_id) REFERENCES small_%s (id)',
        to_char(i, 'FM00000'), to_char(i - 1, 'FM00000'));
    END IF;
  END LOOP;
END $$;

-- A few transactions, because every table takes locks until its transaction ends.
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (0)) v(n);
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (1)) v(n);
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (2)) v(n);
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (3)) v(n);
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (4)) v(n);
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (5)) v(n);
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (6)) v(n);
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (7)) v(n);
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (8)) v(n);
SELECT make_small_tables(1 + n * 500, 500 + n * 500) FROM (VALUES (9)) v(n);
DROP FUNCTION make_small_tables;
