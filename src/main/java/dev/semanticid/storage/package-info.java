/**
 * Files and S3 objects that jobs read and write. {@link dev.semanticid.storage.Storage} resolves
 * addresses; nothing outside the data root or the allowed S3 prefixes is touched.
 */
@NullMarked
package dev.semanticid.storage;

import org.jspecify.annotations.NullMarked;
