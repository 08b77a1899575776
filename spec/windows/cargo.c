/* Stands in for cargo.exe where Windows is wine, which has none: `cargo --version` answers, `cargo build`
 * puts the module that EVSOCK_READY names where cargo would have built it. What else it is told it says
 * to EVSOCK_TOLD, word by word.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

/* Makes a folder and those above it. */
static void make_folders(char *path)
{
    char *place;
    for (place = path + 1; *place; place++) {
        if (*place == '/' || *place == '\\') {
            char kept = *place;
            *place = 0;
            CreateDirectoryA(path, NULL);
            *place = kept;
        }
    }
    CreateDirectoryA(path, NULL);
}

int main(int count, char **words)
{
    char path[MAX_PATH] = "";
    FILE *told;
    int place;
    if (count > 1 && strcmp(words[1], "--version") == 0) {
        puts("cargo 1.999.0");
        return 0;
    }
    told = fopen(getenv("EVSOCK_TOLD"), "wb");
    for (place = 1; place < count; place++) {
        fprintf(told, "%s\n", words[place]);
        if (strcmp(words[place], "--target-dir") == 0 && place + 1 < count)
            snprintf(path, sizeof path, "%s/release", words[place + 1]);
    }
    fprintf(told, "CC is %s\n", getenv("CC") ? getenv("CC") : "not set");
    fclose(told);
    make_folders(path);
    strncat(path, "/evsock.dll", sizeof path - strlen(path) - 1);
    return CopyFileA(getenv("EVSOCK_READY"), path, FALSE) ? 0 : 101;
}
