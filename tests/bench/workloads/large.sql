-- SPDX-License-Identifier: Apache-2.0
--
-- Four tables, of which three are big: together more than 3 GB without indexes. Values come from
-- row numbers and hashes of them, so every run gets the same database.

SET maintenance_work_mem = '512MB';

-- What the ledger refers to.
CREATE TABLE accounts (
  id bigint NOT NULL,
  email text NOT NULL,
  name text NOT NULL,
  address text,
  credit_limit numeric(14,2),
  opened_on date,
  settings jsonb
);
INSERT INTO accounts
SELECT k, md5('mail' || k) || '@example.org', 'Account ' || k,
  CASE WHEN k % 7 > 0 THEN k || E' High Street\n' || substr(md5('town' || k), 1, 12) END,
  (k % 90000) * 1.25, date '2000-01-01' + (k % 9000)::integer,
  jsonb_build_object('language', CASE k % 3 WHEN 0 THEN 'en' WHEN 1 THEN 'de' ELSE 'fr' END, 'limit', k % 50)
FROM generate_series(1, 600000) k;

-- Numerics and timestamps, many narrow values in a row.
CREATE TABLE ledger (
  id bigint NOT NULL,
  account_id bigint NOT NULL,
  booked_at timestamptz NOT NULL,
  value_date date,
  amount numeric(18,4) NOT NULL,
  balance numeric(24,8),
  rate numeric,
  currency char(3) DEFAULT 'EUR',
  reference text,
  memo text,
  reconciled boolean
);
INSERT INTO ledger
SELECT k, 1 + abs(hashint8extended(k, 1) % 600000),
  timestamptz '2019-01-01 00:00:00+00' + k * interval '31.7 seconds', date '2019-01-01' + (k / 2700)::integer,
  (hashint8extended(k, 2) % 100000000) / 10000.0, (hashint8extended(k, 3) % 1000000000000000) / 100000000.0,
  CASE WHEN k % 5 > 0 THEN 1 + (hashint8extended(k, 4) % 1000000) / 1000000000000.0 END,
  CASE WHEN k % 11 = 0 THEN 'USD' ELSE 'EUR' END, 'REF-' || md5('r' || k),
  CASE k % 4 WHEN 0 THEN NULL WHEN 1 THEN 'Invoice ' || k || E'\tpaid' WHEN 2 THEN md5('m' || k) || md5('n' || k)
    ELSE 'Transfer from ' || substr(md5('f' || k), 1, 20) || ' to ' || substr(md5('t' || k), 1, 20) || ', café' END,
  k % 3 = 0
FROM generate_series(1, 8000000) k;

-- Keys that lead everybody astray who divides the span between the least and the greatest: seven in
-- ten stand close together near the least bigint, two in ten anywhere, the rest near 1; heap order
-- says nothing about key order.
CREATE TABLE events (
  id bigint NOT NULL,
  kind smallint,
  happened_at timestamp,
  value double precision,
  client inet,
  tags text[],
  payload jsonb
);
INSERT INTO events
SELECT CASE WHEN k % 10 < 7 THEN -9000000000000000000 + k WHEN k % 10 < 9 THEN hashint8extended(k, 5) ELSE k END,
  k % 37, timestamp '2025-01-01' + (abs(hashint8extended(k, 6)) % 31536000) * interval '1 second',
  (hashint8extended(k, 7) % 1000000007) / 3.0e5, inet '10.0.0.0' + (k % 16777216),
  ARRAY['region-' || k % 12, 'client-' || k % 4001],
  jsonb_build_object('path', '/' || md5('p' || k % 5000), 'session', md5('s' || k), 'status', 200 + k % 5,
    'bytes', abs(hashint8extended(k, 8) % 1000000))
FROM generate_series(1, 4000000) k;
INSERT INTO events(id) VALUES (-9223372036854775808), (0), (9223372036854775807);

-- Wide text: half of it neither compresses nor fits into the row, half compresses well.
CREATE TABLE documents (
  id integer NOT NULL,
  title text NOT NULL,
  body text NOT NULL,
  checksum bytea,
  created_at timestamptz
);
INSERT INTO documents
SELECT k, 'Document ' || k || ' on ' || substr(md5('d' || k), 1, 8),
  CASE WHEN k % 2 = 0
    THEN (SELECT string_agg(md5(k || '.' || n), ' ') FROM generate_series(1, 60 + k % 200) n)
    ELSE repeat('The quick brown fox ' || k || E' jumps over the lazy dog.\n', 20 + k % 150) END,
  sha256(k::text::bytea), timestamptz '2024-01-01 00:00:00+00' + k * interval '4 minutes'
FROM generate_series(1, 250000) k;

ALTER TABLE accounts ADD PRIMARY KEY (id);
ALTER TABLE ledger ADD PRIMARY KEY (id);
ALTER TABLE events ADD PRIMARY KEY (id);
ALTER TABLE documents ADD PRIMARY KEY (id);
CREATE UNIQUE INDEX accounts_email ON accounts (email);
CREATE INDEX ledger_account ON ledger (account_id, booked_at);
CREATE INDEX ledger_reference ON ledger (reference);
CREATE INDEX events_time ON events (happened_at);
CREATE INDEX events_kind ON events (kind, value) WHERE kind < 10;
CREATE INDEX documents_title ON documents (lower(title));
ALTER TABLE ledger ADD CONSTRAINT ledger_account_fkey FOREIGN KEY (account_id) REFERENCES accounts (id);
ALTER TABLE ledger ADD CONSTRAINT ledger_currency CHECK (currency IN ('EUR', 'USD'));
