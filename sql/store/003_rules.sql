-- What of the tables of 2.0.0 uses functions of the extension.

ALTER TABLE @schema@.memory_audit_seals ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_import_lines ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_maintenance_runs ENABLE ROW LEVEL SECURITY;

CREATE OR REPLACE TRIGGER memory_seals_append_only BEFORE UPDATE OR DELETE ON @schema@.memory_audit_seals
    FOR EACH ROW EXECUTE FUNCTION @schema@.memory_refuse_change();

CREATE OR REPLACE TRIGGER memory_seals_not_truncated BEFORE TRUNCATE ON @schema@.memory_audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION @schema@.memory_refuse_change();

DROP POLICY IF EXISTS memory_read ON @schema@.memory_audit_seals;
CREATE POLICY memory_read ON @schema@.memory_audit_seals FOR SELECT USING (@schema@.memory_allowed('*', 'admin'));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_maintenance_runs;
CREATE POLICY memory_read ON @schema@.memory_maintenance_runs FOR SELECT USING (@schema@.memory_allowed('*', 'admin'));

-- Everybody's lines are their own.
DROP POLICY IF EXISTS memory_read ON @schema@.memory_import_lines;
CREATE POLICY memory_read ON @schema@.memory_import_lines FOR SELECT
    USING (role = current_user AND @schema@.memory_allowed(NULL, 'read'));
DROP POLICY IF EXISTS memory_delete ON @schema@.memory_import_lines;
CREATE POLICY memory_delete ON @schema@.memory_import_lines FOR DELETE
    USING (role = current_user AND @schema@.memory_allowed(NULL, 'read'));

-- Open to all, as the functions are: who may bring lines the trigger decides, and nobody sees those of others.
CREATE OR REPLACE VIEW @schema@.memory_import_inbox WITH (security_barrier) AS
    SELECT l.line FROM @schema@.memory_import_lines l WHERE l.role = current_user AND @schema@.memory_allowed(NULL, 'read');

GRANT SELECT, INSERT, DELETE ON @schema@.memory_import_inbox TO PUBLIC;

CREATE OR REPLACE TRIGGER memory_import_allowed BEFORE INSERT ON @schema@.memory_import_inbox
    FOR EACH STATEMENT EXECUTE FUNCTION @schema@.memory_import_line();

CREATE OR REPLACE TRIGGER memory_import_line INSTEAD OF INSERT ON @schema@.memory_import_inbox
    FOR EACH ROW EXECUTE FUNCTION @schema@.memory_import_line();
