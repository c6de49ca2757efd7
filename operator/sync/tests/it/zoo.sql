CREATE EXTENSION pgcrypto; CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE SCHEMA "Odd ""Schema";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE deep AS (m mood, p pair);
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE TYPE floatrange AS RANGE (subtype = float8);
CREATE TABLE zoo (
 id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b bool, i2 int2, i4 int4, f4 float4, f8 float8, n numeric, n2 numeric(12,3), t text, v varchar(10), c char(5),
 by bytea, ts timestamp, tz timestamptz, d date, ti time, tt timetz, iv interval, u uuid, j json, jb jsonb, x xml, inet inet, ci cidr, ma macaddr,
 bits bit(5), vb varbit, p point, bx box, cr circle, mo money, ai int[], at text[], r int4range, mr nummultirange, tsr tstzrange, tv tsvector, tq tsquery, jp jsonpath, lsn pg_lsn, nm name, o oid,
 gen int GENERATED ALWAYS AS (i4 * 2) STORED);
INSERT INTO zoo (b,i2,i4,f4,f8,n,n2,t,v,c,by,ts,tz,d,ti,tt,iv,u,j,jb,x,inet,ci,ma,bits,vb,p,bx,cr,mo,ai,at,r,mr,tsr,tv,tq,jp,lsn,nm,o)
 VALUES (true, -32768, 1073741823, 'NaN', '-Infinity', 'NaN', 1.5, E'tab\t nl\n bs\\ quote" \\N', 'häß', 'ab', '\x00ff5c', 'infinity', '-infinity', 'infinity', '24:00', '12:00:00+05:30', '1 mon -3 days 00:00:01', gen_random_uuid(), '{"a" : 1,  "a":2}', '{"b":[1,null]}', '<a>ü</a>', '::1/64', '10.0.0.0/8','08:00:2b:01:02:03', B'10101', B'1', '(1,2)', '(1,1),(0,0)', '<(0,0),1>', 12.34, '{{1,NULL},{3,4}}', ARRAY['', NULL, 'a,"b'], '[1,5)', '{[1,2),(5,)}', '(,2020-01-01)', 'fat:1A cat', 'a & !b', '$.a[*]', '16/B374D848', 'nm', 4294967295),
 (NULL,NULL,NULL,NULL,NULL,'Infinity',NULL,'',NULL,NULL,'',NULL,NULL,'-infinity',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'[0:1]={1,2}','{}','empty','{}',NULL,'',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE custom (id int PRIMARY KEY, m mood, am mood[], p pair, d deep, ad pair[], po posint, apo posint[], fr floatrange, h hstore, ci citext, rc regclass, rt regtype, w zoo);
INSERT INTO custom SELECT g, 'it''s', '{sad,ok}', ROW(g,'x,"y')::pair, ROW('ok', ROW(1,NULL)::pair)::deep, ARRAY[ROW(1,'a')::pair], g, ARRAY[g]::posint[], '[1.5,2.5)', 'a=>1, b=>NULL', 'CiText', 'zoo', 'mood', (SELECT z FROM zoo z LIMIT 1) FROM generate_series(1,3) g;
CREATE TABLE nocols ();
INSERT INTO nocols SELECT FROM generate_series(1,7);
CREATE TABLE empty (id int);
CREATE UNLOGGED TABLE unlogged (id int);
INSERT INTO unlogged SELECT generate_series(1,10);
CREATE TABLE "Odd ""Schema"."tä ble.x" ("cölumn "" a" int PRIMARY KEY, "select" text, "dropme" int);
ALTER TABLE "Odd ""Schema"."tä ble.x" DROP COLUMN dropme;
INSERT INTO "Odd ""Schema"."tä ble.x" VALUES (1, 'x');
CREATE INDEX "odd idx" ON "Odd ""Schema"."tä ble.x" (lower("select"));
CREATE TABLE parent (id int, note text); CREATE TABLE child (extra int) INHERITS (parent);
INSERT INTO parent VALUES (1,'p'); INSERT INTO child VALUES (2,'c',3);
CREATE TABLE measure (at date NOT NULL, v int, PRIMARY KEY (at, v)) PARTITION BY RANGE (at);
CREATE TABLE measure_1 PARTITION OF measure FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE measure_2 PARTITION OF measure FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') PARTITION BY HASH (v);
CREATE TABLE measure_2a PARTITION OF measure_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE measure_2b PARTITION OF measure_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE measure_d PARTITION OF measure DEFAULT;
CREATE INDEX ON measure (v);
INSERT INTO measure SELECT '2020-06-01'::date + g, g FROM generate_series(1,900) g;
CREATE TABLE a (id int PRIMARY KEY, b_id int NOT NULL); CREATE TABLE b (id int PRIMARY KEY, a_id int NOT NULL, at date, v int);
INSERT INTO a VALUES (1,1); INSERT INTO b VALUES (1,1,'2020-06-02',1);
ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b DEFERRABLE INITIALLY DEFERRED; ALTER TABLE b ADD FOREIGN KEY (a_id) REFERENCES a; ALTER TABLE b ADD FOREIGN KEY (at, v) REFERENCES measure;
CREATE TABLE self (id int PRIMARY KEY, up int REFERENCES self); INSERT INTO self VALUES (1,NULL),(2,1);
CREATE SEQUENCE seq_called START 5 INCREMENT 7; SELECT nextval('seq_called'), nextval('seq_called');
CREATE SEQUENCE seq_fresh START 42; CREATE SEQUENCE "Seq 'quoted" ; SELECT setval('"Seq ''quoted"', 99, false);
CREATE TABLE ser (id serial PRIMARY KEY, x int UNIQUE, EXCLUDE USING gist (int4range(x, x+1) WITH &&)); INSERT INTO ser (x) VALUES (1),(5);
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.x := 999; RETURN NEW; END $$;
CREATE TRIGGER boom BEFORE INSERT ON ser FOR EACH ROW EXECUTE FUNCTION trg();
CREATE VIEW vw AS SELECT id FROM ser; CREATE MATERIALIZED VIEW mv AS SELECT count(*) AS n FROM ser; CREATE MATERIALIZED VIEW mv2 AS SELECT n + 1 AS n FROM mv; CREATE MATERIALIZED VIEW mv_empty AS SELECT 1 AS one WITH NO DATA;
CREATE UNIQUE INDEX ON mv (n);
CREATE RULE r AS ON INSERT TO empty DO ALSO SELECT 1;
ALTER TABLE self ENABLE ROW LEVEL SECURITY; CREATE POLICY pol ON self USING (id > 0);
CREATE STATISTICS st ON b, i4 FROM zoo;
COMMENT ON TABLE zoo IS 'all kinds'; COMMENT ON COLUMN zoo.t IS 'te''xt';
SELECT lo_from_bytea(4711, convert_to(repeat('large', 500000), 'UTF8')), lo_from_bytea(4712, ''), lo_create(4713);
ALTER TABLE zoo ADD CONSTRAINT chk CHECK (i4 IS NULL OR i4 > -5) NOT VALID;
CREATE PUBLICATION pub FOR TABLE zoo;
GRANT SELECT ON zoo TO PUBLIC;
