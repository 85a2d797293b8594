CREATE INDEX categories_by_name ON categories (local_name(191));

CREATE INDEX categories_by_parent ON categories (catalog, parent_id);

CREATE INDEX category_history_by_end ON category_history (catalog, valid_to, id);

CREATE INDEX category_history_by_first_place ON category_history (catalog, valid_from_resync, valid_from_sequence);

CREATE INDEX category_history_by_last_place ON category_history (catalog, valid_to_resync, valid_to_sequence);

CREATE INDEX map_categories_by_parent ON map_categories (catalog, parent_id);

CREATE TABLE categories (
	catalog VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	parent_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	local_name MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	is_leaf BOOL NOT NULL,
	PRIMARY KEY (catalog, id)
);

CREATE TABLE category_history (
	catalog VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	parent_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	local_name MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	is_leaf BOOL NOT NULL,
	valid_from VARCHAR(24) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	valid_from_event VARCHAR(46) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	valid_from_resync BIGINT NOT NULL,
	valid_from_sequence BIGINT NOT NULL,
	valid_to VARCHAR(24) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	valid_to_event VARCHAR(46) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	valid_to_resync BIGINT,
	valid_to_sequence BIGINT,
	PRIMARY KEY (catalog, id, valid_from_resync, valid_from_sequence)
);

CREATE TABLE checkpoints (
	projection VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	catalog VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	epoch VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	sequence BIGINT NOT NULL,
	stream_offset VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	digest VARCHAR(16) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	updated_at VARCHAR(24) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	PRIMARY KEY (projection, catalog)
);

CREATE TABLE history_resyncs (
	catalog VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	number BIGINT NOT NULL,
	resynced_at VARCHAR(24) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	from_position VARCHAR(46) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	to_position VARCHAR(46) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	added INTEGER NOT NULL,
	updated INTEGER NOT NULL,
	removed INTEGER NOT NULL,
	epoch VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	first_sequence BIGINT NOT NULL,
	last_sequence BIGINT NOT NULL,
	last_position VARCHAR(46) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	last_at VARCHAR(24) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	PRIMARY KEY (catalog, number)
);

CREATE TABLE map_categories (
	catalog VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	parent_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	local_name MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	is_leaf BOOL NOT NULL,
	PRIMARY KEY (catalog, id)
);

CREATE TABLE mappings (
	catalog VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	own_key VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	own_name MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	own_path MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	category_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	category_name MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	category_parent_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	category_path MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	decided_at VARCHAR(24) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	state VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	reason MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	since VARCHAR(24) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
	since_event VARCHAR(63) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin,
	PRIMARY KEY (catalog, own_key),
	CONSTRAINT mappings_one_to_one UNIQUE (catalog, category_id)
);

CREATE VIEW category_breadcrumbs AS WITH RECURSIVE upwards(catalog, id, ancestor_id, next_id) AS
(SELECT categories.catalog AS catalog, categories.id AS id, categories.id AS ancestor_id, categories.parent_id AS next_id
FROM categories UNION ALL SELECT upwards.catalog AS catalog, upwards.id AS id, parent.id AS id_1, parent.parent_id AS parent_id
FROM upwards INNER JOIN categories AS parent ON parent.catalog = upwards.catalog AND parent.id = upwards.next_id)
 SELECT upwards.catalog, upwards.id, category_paths.depth, upwards.ancestor_id, ancestor.local_name AS ancestor_name
FROM upwards INNER JOIN categories AS ancestor ON ancestor.catalog = upwards.catalog AND ancestor.id = upwards.ancestor_id INNER JOIN category_paths ON category_paths.catalog = upwards.catalog AND category_paths.id = upwards.ancestor_id;

CREATE VIEW category_paths AS WITH RECURSIVE paths(catalog, id, depth, path) AS
(SELECT categories.catalog AS catalog, categories.id AS id, 1 AS depth, categories.local_name AS path
FROM categories
WHERE categories.parent_id = '0' UNION ALL SELECT child.catalog AS catalog, child.id AS id, paths.depth + 1 AS anon_1, concat(paths.path, ' > ', child.local_name) AS anon_2
FROM categories AS child INNER JOIN paths ON child.catalog = paths.catalog AND child.parent_id = paths.id)
 SELECT paths.catalog, paths.id, paths.depth, paths.path
FROM paths;
