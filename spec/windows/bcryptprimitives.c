/* A library of Windows that Debian's wine lacks, with the one function of it that Rust's standard
 * library asks for. Stands beside the interpreter; Windows itself takes its own. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom, of advapi32 */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
    return SystemFunction036(data, (ULONG)size);
}
