/* How many CPUs this process may use. Private to base. */
#ifndef TA_BASE_CPU_H
#define TA_BASE_CPU_H

/* CPUs that the cgroup v2 quota allows, rounded up, or 0 for no quota. `membership` is /proc/self/cgroup, `root` the
 * folder where cgroup2 is mounted; both are parameters for the test's sake. */
int ta_cgroup_cpus(const char *membership, const char *root);

#endif
