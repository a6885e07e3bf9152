/** Tests of files, and of objects in a real S3 server. */
@NullMarked
package dev.semanticid.storage;

import org.jspecify.annotations.NullMarked;
