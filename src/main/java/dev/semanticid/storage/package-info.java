/** Files and S3 objects that jobs read from and write to. */
@NullMarked
package dev.semanticid.storage;

import org.jspecify.annotations.NullMarked;
