/**
 * The database and the data directory: the connection, its schema, BLOBs in chunks ({@link
 * dev.semanticid.store.ChunkTable}) and the lock of the {@link dev.semanticid.store.DataDirectory}.
 */
@NullMarked
package dev.semanticid.store;

import org.jspecify.annotations.NullMarked;
