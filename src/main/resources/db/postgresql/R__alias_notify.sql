-- Whoever moves an alias, by whatever means, tells all replicas once that is committed.
CREATE OR REPLACE FUNCTION semantic_id_alias_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('semantic_id_aliases', COALESCE(NEW.name, OLD.name));
  RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS codebook_alias_moved ON codebook_alias;
CREATE TRIGGER codebook_alias_moved AFTER INSERT OR UPDATE OR DELETE ON codebook_alias
  FOR EACH ROW EXECUTE FUNCTION semantic_id_alias_moved();
