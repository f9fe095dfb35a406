CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ SELECT 'a;b' || $tag$;$tag$ $_$;
ALTER FUNCTION f() OWNER TO x; -- end
/* a /* nested */ comment */