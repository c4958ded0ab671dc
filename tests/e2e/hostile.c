/* What a worker would do that an evil file has taken over: it tries to read, write, connect, execute and meddle outside
 * of what it was given, and prints how each try went: "done", or why not. With "free" it is not confined, and
 * everything that is tried must be possible, or the test would show nothing.
 *
 * hostile free|confined|seccomp INPUT FOLDER OUTSIDE TCP-PORT UNIX-SOCKET: INPUT may be read and FOLDER be written
 * to; OUTSIDE holds a file `secret` and files that it spoils. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "work/landlock.h"
#include "work/places.h"
#include "work/work.h"

static const char *input, *folder, *outside, *unix_path;
static int port, outside_fd, secret_fd;
static pid_t victim;

static const char *path_in(const char *dir, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* 0 or an errno. */
static int result(long r)
{
    return r < 0 ? errno : 0;
}

static int read_file(const char *path, int at)
{
    char byte;
    int fd = openat(at, path, O_RDONLY | O_CLOEXEC), why = fd < 0 ? errno : 0;
    if (fd >= 0 && read(fd, &byte, 1) != 1)
        why = EIO;
    if (fd >= 0)
        close(fd);
    return why;
}

static int write_file(const char *path, int flags)
{
    int fd = open(path, O_WRONLY | flags | O_CLOEXEC, 0600), why = fd < 0 ? errno : 0;
    if (fd >= 0 && write(fd, "x", 1) != 1)
        why = EIO;
    if (fd >= 0)
        close(fd);
    return why;
}

static int read_outside(void)
{
    return read_file(path_in(outside, "secret"), AT_FDCWD);
}
static int read_passwd(void)
{
    return read_file("/etc/passwd", AT_FDCWD);
}
static int read_at_folder(void)
{
    return read_file("secret", outside_fd);
}
static int list_outside(void)
{
    int fd = open(outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return result(fd);
}

/* An open descriptor is no way around: opening it anew is judged like any other path. */
static int reopen_descriptor(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", secret_fd);
    return read_file(path, AT_FDCWD);
}

static int read_victims_memory(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)victim);
    return read_file(path, AT_FDCWD);
}

static int overwrite_outside(void)
{
    return write_file(path_in(outside, "spoilt"), 0);
}
static int create_outside(void)
{
    return write_file(path_in(outside, "created"), O_CREAT);
}
static int write_input(void)
{
    return write_file(input, 0);
}
static int truncate_outside(void)
{
    return result(truncate(path_in(outside, "spoilt"), 0));
}
static int truncate_by_reading(void)
{
    int fd = open(path_in(outside, "spoilt"), O_RDONLY | O_TRUNC | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return result(fd);
}
static int remove_outside(void)
{
    return result(unlink(path_in(outside, "removed")));
}
static int mode_outside(void)
{
    return result(chmod(path_in(outside, "spoilt"), 0666));
}
static int make_folder_outside(void)
{
    return result(mkdir(path_in(outside, "made"), 0700));
}
static int move_out(void)
{
    char from[4096];
    snprintf(from, sizeof from, "%s", path_in(folder, "own"));
    write_file(from, O_CREAT);
    return result(rename(from, path_in(outside, "moved")));
}
static int link_in(void)
{
    char from[4096];
    snprintf(from, sizeof from, "%s", path_in(outside, "secret"));
    return result(link(from, path_in(folder, "linked")));
}
static int make_symlink(void)
{
    return result(symlink(outside, path_in(folder, "symlink")));
}

static int connect_tcp(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&to, sizeof to));
}
static int send_udp(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : result(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to));
}
static int connect_unix(void)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    snprintf(to.sun_path, sizeof to.sun_path, "%s", unix_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? errno : result(connect(fd, (struct sockaddr *)&to, sizeof to));
}
static int make_netlink(void)
{
    return result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static int start_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return result(pid);
}

/* In a child where one can be had; where not, in place: it would not come back. */
static int execute(void)
{
    char *words[] = { (char[]){ "true" }, NULL };
    int status = 0;
    pid_t pid = fork();
    if (pid <= 0) {
        execve("/bin/true", words, NULL);
        int why = errno;
        if (pid == 0)
            _exit(why);
        return why;
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}
static int execute_memory(void)
{
    char *words[] = { (char[]){ "x" }, NULL }, *none[] = { NULL };
    int fd = memfd_create("x", 0), from = open("/bin/true", O_RDONLY | O_CLOEXEC), status = 0;
    char block[65536];
    for (ssize_t n; from >= 0 && (n = read(from, block, sizeof block)) > 0;)
        if (write(fd, block, (size_t)n) != n)
            return EIO;
    pid_t pid = fork();
    if (pid <= 0) {
        fexecve(fd, words, none);
        int why = errno;
        if (pid == 0)
            _exit(why);
        return why;
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static int trace_victim(void)
{
    long r = ptrace(PTRACE_SEIZE, victim, 0, 0);
    if (r == 0)
        kill(victim, SIGCONT);
    return result(r);
}
static int signal_victim(void)
{
    return result(kill(victim, SIGCONT));
}
static int make_ring(void)
{
    char params[120] = { 0 };
    return result(syscall(425 /* io_uring_setup */, 4, params));
}
static int new_namespace(void)
{
    return result(unshare(CLONE_FS));
}
static int change_folder(void)
{
    return result(chdir(outside));
}

/* What a worker needs must still go. */
static int read_input(void)
{
    return read_file(input, AT_FDCWD);
}
static int write_folder(void)
{
    return write_file(path_in(folder, "new"), O_CREAT | O_TRUNC);
}
static int rename_between_folders(void)
{
    char from[4096];
    mkdir(path_in(folder, "sub"), 0700);
    snprintf(from, sizeof from, "%s", path_in(folder, "sub/one"));
    int why = write_file(from, O_CREAT);
    return why ? why : result(rename(from, path_in(folder, "two")));
}
static int read_passed_descriptor(void)
{
    char byte;
    return pread(secret_fd, &byte, 1, 0) == 1 ? 0 : errno;
}
static int map_executable(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : 0;
}
static int signal_self(void)
{
    return result(kill(getpid(), SIGCONT));
}

static void *nothing(void *arg)
{
    return arg;
}
static int start_thread(void)
{
    pthread_t t;
    int why = pthread_create(&t, NULL, nothing, NULL);
    if (!why)
        pthread_join(t, NULL);
    return why;
}

static const struct {
    const char *name;
    int (*run)(void);
} tries[] = {
    { "bad read_outside", read_outside },
    { "bad read_passwd", read_passwd },
    { "bad read_at_folder", read_at_folder },
    { "bad list_outside", list_outside },
    { "bad reopen_descriptor", reopen_descriptor },
    { "bad read_victims_memory", read_victims_memory },
    { "bad overwrite_outside", overwrite_outside },
    { "bad create_outside", create_outside },
    { "bad write_input", write_input },
    { "bad truncate_outside", truncate_outside },
    { "bad truncate_by_reading", truncate_by_reading },
    { "bad remove_outside", remove_outside },
    { "bad mode_outside", mode_outside },
    { "bad make_folder_outside", make_folder_outside },
    { "bad move_out", move_out },
    { "bad link_in", link_in },
    { "bad make_symlink", make_symlink },
    { "bad connect_tcp", connect_tcp },
    { "bad send_udp", send_udp },
    { "bad connect_unix", connect_unix },
    { "bad make_netlink", make_netlink },
    { "bad start_process", start_process },
    { "bad execute", execute },
    { "bad execute_memory", execute_memory },
    { "bad signal_victim", signal_victim },
    { "bad trace_victim", trace_victim },
    { "bad make_ring", make_ring },
    { "bad new_namespace", new_namespace },
    { "bad change_folder", change_folder },
    { "good read_input", read_input },
    { "good write_folder", write_folder },
    { "good rename_between_folders", rename_between_folders },
    { "good read_passed_descriptor", read_passed_descriptor },
    { "good map_executable", map_executable },
    { "good signal_self", signal_self },
    { "good start_thread", start_thread },
};

static void *try_all(void *who)
{
    for (size_t i = 0; i < TA_COUNT(tries); i++) {
        int why = tries[i].run();
        printf("%s %s %s\n", (const char *)who, tries[i].name, why ? strerrorname_np(why) : "done");
        fflush(stdout);
    }
    return NULL;
}

static int confine_like_a_worker(ta_error *err)
{
    ta_places read = { 0 }, devices = { 0 };
    ta_confinement done;
    int in = open(input, O_RDONLY | O_CLOEXEC), out = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    ta_places_readable(&read);
    ta_places_devices(&devices);
    ta_confine_plan plan = { .read_fds = &in,
                             .read_count = 1,
                             .write_fds = &out,
                             .write_count = 1,
                             .read_paths = (const char *const *)read.list,
                             .devices = (const char *const *)devices.list,
                             .required = true };
    int r = ta_confine(&plan, &done, err);
    ta_places_free(&read);
    ta_places_free(&devices);
    close(in);
    close(out);
    return r;
}

/* Lives as long as this process: a confined parent can't end it, not even by PR_SET_PDEATHSIG. */
static pid_t start_victim(void)
{
    int ends[2];
    char byte;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        while (read(ends[0], &byte, 1) < 0 && errno == EINTR)
            continue;
        _exit(0);
    }
    return pid;
}

int main(int argc, char **argv)
{
    ta_error err = { 0 };
    char text[2000];
    pthread_t thread;
    if (argc != 7)
        return 64;
    input = argv[2];
    folder = argv[3];
    outside = argv[4];
    port = atoi(argv[5]);
    unix_path = argv[6];
    outside_fd = open(outside, O_PATH | O_DIRECTORY | O_CLOEXEC);
    secret_fd = open(path_in(outside, "secret"), O_RDONLY | O_CLOEXEC);
    victim = start_victim();
    int r = !strcmp(argv[1], "confined") ? confine_like_a_worker(&err) : 0;
    if (!strcmp(argv[1], "seccomp")) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        r = ta_seccomp_enter() ? TA_ERR_UNAVAILABLE : 0;
    }
    if (r < 0) {
        fprintf(stderr, "%s\n", ta_error_string(&err, text, sizeof text));
        return ta_exit_code(r);
    }
    try_all((char[]){ "main" });
    if (!strcmp(argv[1], "confined") && pthread_create(&thread, NULL, try_all, (char[]){ "thread" }) == 0)
        pthread_join(thread, NULL);
    fflush(stdout);
    _exit(0); /* a leak checker would want to trace this process */
}
