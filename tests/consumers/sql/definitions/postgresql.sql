CREATE INDEX categories_by_name ON categories USING spgist (local_name);

CREATE INDEX categories_by_parent ON categories (catalog, parent_id);

CREATE INDEX category_history_by_end ON category_history (catalog, valid_to, id);

CREATE INDEX category_history_by_first_place ON category_history (catalog, valid_from_resync, valid_from_sequence);

CREATE INDEX category_history_by_last_place ON category_history (catalog, valid_to_resync, valid_to_sequence);

CREATE INDEX map_categories_by_parent ON map_categories (catalog, parent_id);

CREATE TABLE categories (
	catalog VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	parent_id VARCHAR NOT NULL,
	local_name VARCHAR NOT NULL,
	is_leaf BOOLEAN NOT NULL,
	PRIMARY KEY (catalog, id)
);

CREATE TABLE category_history (
	catalog VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	parent_id VARCHAR NOT NULL,
	local_name VARCHAR NOT NULL,
	is_leaf BOOLEAN NOT NULL,
	valid_from VARCHAR NOT NULL,
	valid_from_event VARCHAR,
	valid_from_resync BIGINT NOT NULL,
	valid_from_sequence BIGINT NOT NULL,
	valid_to VARCHAR,
	valid_to_event VARCHAR,
	valid_to_resync BIGINT,
	valid_to_sequence BIGINT,
	PRIMARY KEY (catalog, id, valid_from_resync, valid_from_sequence)
);

CREATE TABLE checkpoints (
	projection VARCHAR NOT NULL,
	catalog VARCHAR NOT NULL,
	epoch VARCHAR NOT NULL,
	sequence BIGINT NOT NULL,
	stream_offset VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	updated_at VARCHAR NOT NULL,
	PRIMARY KEY (projection, catalog)
);

CREATE TABLE history_resyncs (
	catalog VARCHAR NOT NULL,
	number BIGINT NOT NULL,
	resynced_at VARCHAR NOT NULL,
	from_position VARCHAR,
	to_position VARCHAR NOT NULL,
	added INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	removed INTEGER NOT NULL,
	epoch VARCHAR NOT NULL,
	first_sequence BIGINT NOT NULL,
	last_sequence BIGINT NOT NULL,
	last_position VARCHAR NOT NULL,
	last_at VARCHAR NOT NULL,
	PRIMARY KEY (catalog, number)
);

CREATE TABLE map_categories (
	catalog VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	parent_id VARCHAR NOT NULL,
	local_name VARCHAR NOT NULL,
	is_leaf BOOLEAN NOT NULL,
	PRIMARY KEY (catalog, id)
);

CREATE TABLE mappings (
	catalog VARCHAR NOT NULL,
	own_key VARCHAR NOT NULL,
	own_name VARCHAR NOT NULL,
	own_path VARCHAR NOT NULL,
	category_id VARCHAR,
	category_name VARCHAR,
	category_parent_id VARCHAR,
	category_path VARCHAR,
	decided_at VARCHAR,
	state VARCHAR NOT NULL,
	reason VARCHAR NOT NULL,
	since VARCHAR NOT NULL,
	since_event VARCHAR,
	PRIMARY KEY (catalog, own_key),
	CONSTRAINT mappings_one_to_one UNIQUE (catalog, category_id)
);

CREATE VIEW category_breadcrumbs AS WITH RECURSIVE upwards(catalog, id, ancestor_id, next_id) AS
(SELECT categories.catalog AS catalog, categories.id AS id, categories.id AS ancestor_id, categories.parent_id AS next_id
FROM categories UNION ALL SELECT upwards.catalog AS catalog, upwards.id AS id, parent.id AS id_1, parent.parent_id AS parent_id
FROM upwards JOIN categories AS parent ON parent.catalog = upwards.catalog AND parent.id = upwards.next_id)
 SELECT upwards.catalog, upwards.id, category_paths.depth, upwards.ancestor_id, ancestor.local_name AS ancestor_name
FROM upwards JOIN categories AS ancestor ON ancestor.catalog = upwards.catalog AND ancestor.id = upwards.ancestor_id JOIN category_paths ON category_paths.catalog = upwards.catalog AND category_paths.id = upwards.ancestor_id;

CREATE VIEW category_paths AS WITH RECURSIVE paths(catalog, id, depth, path) AS
(SELECT categories.catalog AS catalog, categories.id AS id, 1 AS depth, categories.local_name AS path
FROM categories
WHERE categories.parent_id = '0' UNION ALL SELECT child.catalog AS catalog, child.id AS id, paths.depth + 1 AS anon_1, paths.path || ' > ' || child.local_name AS anon_2
FROM categories AS child JOIN paths ON child.catalog = paths.catalog AND child.parent_id = paths.id)
 SELECT paths.catalog, paths.id, paths.depth, paths.path
FROM paths;
