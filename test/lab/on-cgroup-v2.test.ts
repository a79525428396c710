/**
 * The same behaviours as on a host with cgroup v1: the tests are those of e2e, the host is the lab.
 */
import "../e2e/health.test.ts";
import "../e2e/observability.test.ts";
import "../e2e/warder.test.ts";
import "../integration/isolation.test.ts";
import "../integration/cgroup.test.ts";
