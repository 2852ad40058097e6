-- Everything a release promises to its callers: a change here is a change of the interface.

\pset format unaligned
\pset fieldsep ' | '
\pset footer off

-- Functions: arguments with defaults, result, volatility, parallel safety, strictness, security, rights.
SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ')' AS function, pg_get_function_result(p.oid) AS result,
       CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END AS volatility,
       'parallel ' || CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END AS parallel,
       CASE WHEN p.proisstrict THEN 'strict' ELSE 'called on null' END AS strict,
       CASE WHEN p.prosecdef THEN 'security definer' ELSE 'security invoker' END AS security, coalesce(p.proacl::text, 'default rights') AS rights
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
     JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'memory_ext'
ORDER BY p.proname, 1;

-- Functions without a comment.
SELECT p.oid::regprocedure
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
     JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'memory_ext'
WHERE coalesce(obj_description(p.oid, 'pg_proc'), '') = '';

-- Nothing else belongs to the extension.
SELECT d.classid::regclass AS class, count(*) > 0 AS some
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'memory_ext'
WHERE d.deptype = 'e' GROUP BY 1 ORDER BY 1;

SELECT extversion, extrelocatable FROM pg_extension WHERE extname = 'memory_ext';

-- The store: tables, columns, indexes, triggers, policies.
SELECT memory_init() ->> 'created' AS created;

SELECT c.relname AS table, a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null,
       CASE WHEN a.attgenerated = 's' THEN 'generated ' WHEN a.attidentity <> '' THEN 'identity ' ELSE '' END
       || regexp_replace(coalesce(pg_get_expr(d.adbin, d.adrelid), ''), '\s+', ' ', 'g') AS value
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
ORDER BY c.relname, a.attnum;

SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY tablename, indexname;

SELECT t.tgrelid::regclass AS table, pg_get_triggerdef(t.oid) AS trigger
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal ORDER BY 1, t.tgname;

SELECT c.relname AS table, c.relrowsecurity AS row_security, p.polname AS policy, p.polcmd AS command,
       pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check
FROM pg_class c LEFT JOIN pg_policy p ON p.polrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1, 3;

-- Settings.
SELECT name, setting, unit, vartype, context, min_val, max_val, enumvals FROM pg_settings WHERE name LIKE 'memory\_ext.%' ORDER BY 1;
