/** The packaged service from outside: a child process, HTTP, and what is left on disk. */
@NullMarked
package dev.semanticid.service;

import org.jspecify.annotations.NullMarked;
