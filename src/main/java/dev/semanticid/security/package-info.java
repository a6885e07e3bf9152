/**
 * Who may do what: API keys, tokens of an OAuth 2 issuer, and {@link dev.semanticid.security.Scope
 * scopes}. Without keys and issuer everybody is let in, except web pages of other origins.
 */
@NullMarked
package dev.semanticid.security;

import org.jspecify.annotations.NullMarked;
