/* Giving back memory that starting up took: free heap, and the pages of libraries that only the dynamic linker read.
 *
 * libavfilter and libavformat bring in some 170 shared libraries. Resolving their symbols touches 40 MB of tables and
 * code, nearly all of it for the last time. Dropped pages are clean copies of files: what is needed after all comes
 * back from the page cache, sixteen pages at a time. Only segments that can't be written are dropped, and none of a
 * library that had to be changed in place (text relocations): those changes would be lost. */
#include <link.h>
#include <malloc.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"

static bool was_changed_in_place(const struct dl_phdr_info *lib)
{
    for (int i = 0; i < lib->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &lib->dlpi_phdr[i];
        if (p->p_type != PT_DYNAMIC)
            continue;
        for (const ElfW(Dyn) *d = (const void *)(lib->dlpi_addr + p->p_vaddr); d->d_tag != DT_NULL; d++)
            if (d->d_tag == DT_TEXTREL || (d->d_tag == DT_FLAGS && (d->d_un.d_val & DF_TEXTREL)))
                return true;
    }
    return false;
}

/* A segment's last page may be shared with nothing else: the linker maps each segment in whole pages of its own. */
static int drop_pages(struct dl_phdr_info *lib, size_t size, void *page)
{
    const uintptr_t mask = *(const uintptr_t *)page - 1;
    if (was_changed_in_place(lib))
        return 0;
    for (int i = 0; i < lib->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &lib->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || (p->p_flags & PF_W) || !p->p_filesz)
            continue;
        uintptr_t start = (lib->dlpi_addr + p->p_vaddr) & ~mask;
        uintptr_t end = (lib->dlpi_addr + p->p_vaddr + p->p_filesz + mask) & ~mask;
        /* refused where it is no file (vdso), which is as well */
        madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void ta_release_memory(void)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    malloc_trim(0);
    dl_iterate_phdr(drop_pages, &page);
}
