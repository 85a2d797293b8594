CREATE INDEX categories_by_name ON categories (local_name);

CREATE INDEX categories_by_parent ON categories (catalog, parent_id);

CREATE INDEX category_history_by_end ON category_history (catalog, valid_to, id);

CREATE INDEX category_history_by_first_place ON category_history (catalog, valid_from_resync, valid_from_sequence);

CREATE INDEX category_history_by_last_place ON category_history (catalog, valid_to_resync, valid_to_sequence);

CREATE INDEX map_categories_by_parent ON map_categories (catalog, parent_id);

CREATE TABLE categories (
	catalog TEXT NOT NULL,
	id TEXT NOT NULL,
	parent_id TEXT NOT NULL,
	local_name TEXT NOT NULL,
	is_leaf BOOLEAN NOT NULL,
	PRIMARY KEY (catalog, id)
);

CREATE TABLE category_history (
	catalog TEXT NOT NULL,
	id TEXT NOT NULL,
	parent_id TEXT NOT NULL,
	local_name TEXT NOT NULL,
	is_leaf BOOLEAN NOT NULL,
	valid_from TEXT NOT NULL,
	valid_from_event TEXT,
	valid_from_resync BIGINT NOT NULL,
	valid_from_sequence BIGINT NOT NULL,
	valid_to TEXT,
	valid_to_event TEXT,
	valid_to_resync BIGINT,
	valid_to_sequence BIGINT,
	PRIMARY KEY (catalog, id, valid_from_resync, valid_from_sequence)
);

CREATE TABLE checkpoints (
	projection TEXT NOT NULL,
	catalog TEXT NOT NULL,
	epoch TEXT NOT NULL,
	sequence BIGINT NOT NULL,
	stream_offset TEXT NOT NULL,
	digest TEXT NOT NULL,
	updated_at TEXT NOT NULL,
	PRIMARY KEY (projection, catalog)
);

CREATE TABLE history_resyncs (
	catalog TEXT NOT NULL,
	number BIGINT NOT NULL,
	resynced_at TEXT NOT NULL,
	from_position TEXT,
	to_position TEXT NOT NULL,
	added INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	removed INTEGER NOT NULL,
	epoch TEXT NOT NULL,
	first_sequence BIGINT NOT NULL,
	last_sequence BIGINT NOT NULL,
	last_position TEXT NOT NULL,
	last_at TEXT NOT NULL,
	PRIMARY KEY (catalog, number)
);

CREATE TABLE map_categories (
	catalog TEXT NOT NULL,
	id TEXT NOT NULL,
	parent_id TEXT NOT NULL,
	local_name TEXT NOT NULL,
	is_leaf BOOLEAN NOT NULL,
	PRIMARY KEY (catalog, id)
);

CREATE TABLE mappings (
	catalog TEXT NOT NULL,
	own_key TEXT NOT NULL,
	own_name TEXT NOT NULL,
	own_path TEXT NOT NULL,
	category_id TEXT,
	category_name TEXT,
	category_parent_id TEXT,
	category_path TEXT,
	decided_at TEXT,
	state TEXT NOT NULL,
	reason TEXT NOT NULL,
	since TEXT NOT NULL,
	since_event TEXT,
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
