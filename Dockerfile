# The service as an image. Nothing is written at run time but below /data (the store) and /tmp, so the root file system may be
# read-only, and the user may be any number.
#
#   docker build -t semantic-id-service .
#   docker build -t semantic-id-service:cuda --build-arg MAVEN_PROFILES=cuda .
#
# The CUDA libraries come with the profile: those of ND4J's release, and a cuBLAS of CUDA 12 for our own backend. The driver comes from
# NVIDIA's container runtime. BuildKit is needed, and bash in the
# image it runs in.
ARG BUILD_IMAGE=eclipse-temurin:25-jdk
ARG RUNTIME_IMAGE=eclipse-temurin:25-jre

FROM ${BUILD_IMAGE} AS build
ARG MAVEN_PROFILES=
WORKDIR /build
COPY mvnw pom.xml ./
COPY .mvn .mvn
COPY src/main src/main
RUN --mount=type=cache,target=/root/.m2 \
    ./mvnw -B -ntp ${MAVEN_PROFILES:+-P$MAVEN_PROFILES} -Dmaven.test.skip=true -Dmdep.skip=true package
RUN java -Djarmode=tools -jar target/semantic-id-service.jar extract --layers --destination layers
RUN --mount=type=cache,target=/root/.m2 \
    mkdir target/cublas \
 && case ",$MAVEN_PROFILES," in *,cuda,*) ./mvnw -B -ntp "-P$MAVEN_PROFILES" dependency:unpack@cublas;; esac
# Native libraries as files of the image. In the jars they would be unpacked at every start, half a gigabyte into /tmp. Of two of
# the same name the newer one is taken. The second name of OpenBLAS is the one that JavaCPP's bindings are linked against.
RUN mkdir natives unpacked && mv target/cublas unpacked && cd unpacked \
 && for jar in ../layers/dependencies/lib/*-linux-*.jar; do jar xf "$jar" && rm "$jar"; done \
 && arch=$(uname -m) && jar xf ../layers/dependencies/lib/sqlite-jdbc-*.jar "org/sqlite/native/Linux/$arch" \
 && find . -name '*.so*' -exec mv -u -t ../natives {} + \
 && chmod -R a+rX ../natives \
 && { [ ! -e ../natives/libopenblas.so.0 ] || ln -s libopenblas.so.0 ../natives/libopenblas_nolapack.so.0; }

FROM ${RUNTIME_IMAGE} AS service
WORKDIR /app
COPY --from=build /build/natives natives
COPY --from=build /build/layers/dependencies .
COPY --from=build /build/layers/spring-boot-loader .
COPY --from=build /build/layers/snapshot-dependencies .
COPY --from=build /build/layers/application .
COPY docker/entrypoint.sh docker/health.sh docker/jvm.options helm/files/smoke-test.sh ./
RUN mkdir -m 700 /data && chown 10001:10001 /data
ENV SEMANTIC_ID_DATA_DIR=/data \
    SERVER_ADDRESS=0.0.0.0 \
    LOGGING_STRUCTURED_FORMAT_CONSOLE=ecs \
    MANAGEMENT_SERVER_ADDRESS=0.0.0.0 \
    MANAGEMENT_SERVER_PORT=8081 \
    MANAGEMENT_SERVER_SSL_ENABLED=false
USER 10001:10001

# A training run: the classes that it loads, linked and with their profiles, are what the service starts from.
FROM service AS trained
RUN record=/tmp/semantic-id-service.aot bash -euc '\
    JAVA_OPTS=-XX:AOTCacheOutput=$record SERVER_ADDRESS=127.0.0.1 MANAGEMENT_SERVER_ADDRESS=127.0.0.1 ./entrypoint.sh & service=$!; \
    until ./health.sh 2>/dev/null; do kill -0 $service; sleep 0.5; done; \
    ./smoke-test.sh 127.0.0.1 8080; \
    kill $service; wait $service || [ $? = 143 ]; \
    test -s $record'

FROM service
COPY --from=trained /tmp/semantic-id-service.aot ./
VOLUME ["/data", "/tmp"]
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/app/health.sh"]
ENTRYPOINT ["/app/entrypoint.sh"]
