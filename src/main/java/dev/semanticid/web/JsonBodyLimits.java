package dev.semanticid.web;

import dev.semanticid.settings.SemanticIdProperties;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Type;
import java.time.Duration;
import org.springframework.core.MethodParameter;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpInputMessage;
import org.springframework.http.converter.HttpMessageConverter;
import org.springframework.web.bind.annotation.RestControllerAdvice;
import org.springframework.web.servlet.mvc.method.annotation.RequestBodyAdviceAdapter;

/** Bounds in length and time for the bodies that the framework reads: small JSON, all of them. */
@RestControllerAdvice
class JsonBodyLimits extends RequestBodyAdviceAdapter {

  private static final long MOST_BYTES = 1 << 20;

  private final Duration timeout;

  JsonBodyLimits(SemanticIdProperties properties) {
    this.timeout = properties.encoding().bodyTimeout();
  }

  @Override
  public boolean supports(
      MethodParameter parameter, Type target, Class<? extends HttpMessageConverter<?>> converter) {
    return true;
  }

  @Override
  public HttpInputMessage beforeBodyRead(
      HttpInputMessage message,
      MethodParameter parameter,
      Type target,
      Class<? extends HttpMessageConverter<?>> converter)
      throws IOException {
    HttpHeaders headers = message.getHeaders();
    InputStream body =
        LimitedInputStream.around(
            message.getBody(), headers.getContentLength(), MOST_BYTES, timeout);
    return new HttpInputMessage() {
      @Override
      public InputStream getBody() {
        return body;
      }

      @Override
      public HttpHeaders getHeaders() {
        return headers;
      }
    };
  }
}
