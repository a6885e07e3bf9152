package dev.semanticid.problem;

import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Addresses without the secrets that people put into them: user info ({@code
 * s3://user:password@bucket/key}) and the signatures of presigned addresses. Addresses with secrets
 * are refused; this is the second line of defence, where addresses are stored to be shown, logged
 * or sent.
 */
public final class Masked {

  /** What stands for a secret. */
  public static final String MASK = "***";

  /** An address in a sentence, without the sentence's own punctuation behind it. */
  private static final Pattern ADDRESS =
      Pattern.compile("[A-Za-z][A-Za-z0-9+.-]{0,31}:/[^\\s\"'<>]*[^\\s\"'<>:,.;)]");

  /** Scheme and slashes of an address. */
  private static final Pattern SCHEME = Pattern.compile("(?:([^:/?#@]*):)?(/*)");

  private static final Pattern LAST_AT = Pattern.compile(".*(?:@|%(?:25){0,8}40)", Pattern.DOTALL);
  private static final Pattern COLON =
      Pattern.compile(":|%(?:25){0,8}3A", Pattern.CASE_INSENSITIVE);
  private static final Pattern PORT = Pattern.compile(":[0-9]{0,5}");

  /** Begin and name of a parameter in a query or fragment, as it stands or escaped. */
  private static final Pattern PARAMETER =
      Pattern.compile(
          "(?:[?&;#]|%(?:25){0,8}(?:3F|26|3B|23))([^=&;#?/\\s]{1,200}?)(?:=|%(?:25){0,8}3D)",
          Pattern.CASE_INSENSITIVE);

  private static final String END_OF_VALUE = "&";
  private static final String END_OF_VALUE_IN_TEXT = "& \t\r\n\"'<>";

  /** Names of secrets, in lower case without anything but letters and digits. */
  private static final Set<String> SECRETS = Set.of("sig", "sas", "auth", "jwt", "pwd");

  private static final Pattern PARTS_OF_SECRETS =
      Pattern.compile(
          "signature|credential|token|secret|password|passwd|accesskey|apikey|accessid"
              + "|authorization");

  private Masked() {}

  /** An address without its secrets; one that has none is unchanged. */
  public static String address(String uri) {
    return withoutSecretParameters(withoutUserInfo(uri), END_OF_VALUE);
  }

  /** A sentence whose addresses have no secrets. */
  public static String text(String text) {
    if (text.indexOf(':') < 0 && text.indexOf('=') < 0 && text.indexOf('%') < 0) {
      return text;
    }
    String addressed =
        ADDRESS
            .matcher(text)
            .replaceAll(found -> Matcher.quoteReplacement(withoutUserInfo(found.group())));
    return withoutSecretParameters(addressed, END_OF_VALUE_IN_TEXT);
  }

  /** Something that is shown: a text without secrets, anything else as it is. */
  public static Object shown(Object value) {
    return value instanceof String text ? text(text) : value;
  }

  private static String withoutUserInfo(String uri) {
    Matcher scheme = SCHEME.matcher(uri);
    if (!scheme.lookingAt()) {
      return uri;
    }
    String name =
        scheme.group(1) == null
            ? ""
            : scheme.group(1).toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
    int slashes = scheme.group(2).length();
    if ((name.equals("file") && slashes != 2) || (name.isEmpty() && slashes == 1)) {
      return uri; // a path
    }
    int begin = scheme.end();
    int end = slashes == 0 && !name.isEmpty() ? uri.length() : authorityEnd(uri, begin);
    String authority = uri.substring(begin, end);
    Matcher at = LAST_AT.matcher(authority);
    if (at.lookingAt()) {
      return uri.substring(0, begin) + MASK + "@" + uri.substring(begin + at.end());
    }
    boolean s3 = name.startsWith("s3");
    if (slashes == 0 && !s3) {
      return uri; // no authority, unless an @ says that there is one
    }
    // The colons of an IPv6 address are within brackets.
    Matcher colon = COLON.matcher(authority);
    if (!colon.find(Math.max(0, authority.indexOf(']')))) {
      return uri;
    }
    boolean port = PORT.matcher(authority.substring(colon.start())).matches();
    if (port && !s3) {
      return uri;
    }
    // A password that has a slash itself, as Amazon's keys do.
    at = LAST_AT.matcher(uri.substring(begin));
    return at.lookingAt()
        ? uri.substring(0, begin) + MASK + "@" + uri.substring(begin + at.end())
        : uri.substring(0, begin) + MASK + uri.substring(end);
  }

  private static int authorityEnd(String uri, int begin) {
    for (int i = begin; i < uri.length(); i++) {
      if ("/\\?#".indexOf(uri.charAt(i)) >= 0) {
        return i;
      }
    }
    return uri.length();
  }

  private static String withoutSecretParameters(String text, String endOfValue) {
    Matcher parameter = PARAMETER.matcher(text);
    var masked = new StringBuilder();
    int copied = 0;
    int from = 0;
    while (parameter.find(from)) {
      from = parameter.end();
      if (isSecret(parameter.group(1))) {
        int end = from;
        while (end < text.length() && endOfValue.indexOf(text.charAt(end)) < 0) {
          end++;
        }
        if (end > from) {
          masked.append(text, copied, from).append(MASK);
          copied = end;
          from = end;
        }
      }
    }
    return masked.append(text, copied, text.length()).toString();
  }

  private static boolean isSecret(String escaped) {
    String name = escaped;
    for (int i = 0; i < 3 && name.indexOf('%') >= 0; i++) {
      try {
        name = URLDecoder.decode(name, StandardCharsets.UTF_8);
      } catch (IllegalArgumentException e) {
        break;
      }
    }
    name = name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
    return SECRETS.contains(name) || PARTS_OF_SECRETS.matcher(name).find();
  }
}
