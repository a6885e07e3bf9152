/**
 * Who may do what: API keys, tokens of an OAuth 2 issuer, and scopes. Off, there is nothing of it
 * in a request's way.
 */
@NullMarked
package dev.semanticid.security;

import org.jspecify.annotations.NullMarked;
