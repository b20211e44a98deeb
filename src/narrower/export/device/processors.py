"""The processors that C is cross-compiled for, and how an emulator runs what comes out."""

from dataclasses import dataclass

START_ARM = """\
extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;
int main(void);
void begin(void);
void begin(void)
{
    uint32_t *to = &data_start, *from = &data_load;
    while (to < &data_end)
        *to++ = *from++;
    for (to = &bss_start; to < &bss_end;)
        *to++ = 0;
    main();
}
__attribute__((section(".vectors"), used)) static void *const vectors[2] = {&stack_top, (void *)begin};
static int ask(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
#define TICK_CONTROL (*(volatile uint32_t *)0xe000e010u)
#define TICK_RELOAD (*(volatile uint32_t *)0xe000e014u)
#define TICK_VALUE (*(volatile uint32_t *)0xe000e018u)
static void count(void)
{
    TICK_RELOAD = 0xffffff;
    TICK_VALUE = 0;
    TICK_CONTROL = 5;
}
/* One instruction takes a nanosecond of the emulator's clock, one tick of the processor's forty. */
static uint32_t counted(void)
{
    return (0xffffff - TICK_VALUE) * 40;
}
"""
START_RISCV = """\
extern uint32_t bss_start, bss_end;
int main(void);
void begin(void);
__asm__(".section .vectors,\\"ax\\"\\n.globl _start\\n_start:\\n la sp, stack_top\\n j begin\\n.text\\n");
void begin(void)
{
    uint32_t *to;
    for (to = &bss_start; to < &bss_end;)
        *to++ = 0;
    main();
}
static int ask(int operation, const void *argument)
{
    register int a0 __asm__("a0") = operation;
    register const void *a1 __asm__("a1") = argument;
    __asm__ volatile(".option push\\n.option norvc\\n.balign 16\\nslli x0, x0, 0x1f\\nebreak\\n"
                     "srai x0, x0, 7\\n.option pop" : "+r"(a0) : "r"(a1) : "memory");
    return a0;
}
static uint32_t start;
static uint32_t retired(void)
{
    uint32_t x;
    __asm__ volatile(".option push\\n.option arch, +zicsr\\ncsrr %0, minstret\\n.option pop" : "=r"(x));
    return x;
}
static void count(void)
{
    start = retired();
}
static uint32_t counted(void)
{
    return retired() - start;
}
"""
SECTIONS = """\
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) *(.srodata*) . = ALIGN(4); } > @CODE@
    .data : AT(ADDR(.text) + SIZEOF(.text)) {
        data_start = .; *(.data*) *(.sdata*) . = ALIGN(4); data_end = .;
    } > RAM
    data_load = LOADADDR(.data);
    .bss : { bss_start = .; *(.bss*) *(.sbss*) *(COMMON) . = ALIGN(4); bss_end = .; } > RAM
    stack_top = ORIGIN(RAM) + LENGTH(RAM);
    /DISCARD/ : { *(.ARM.exidx*) *(.eh_frame*) *(.comment) }
"""


@dataclass(frozen=True, slots=True)
class Processor:
    """A processor: its compiler, the emulator that runs it, and the C that a program of it begins with."""

    name: str
    compiler: tuple[str, ...]
    emulator: tuple[str, ...]
    start: str
    memory: str

    @property
    def tools(self) -> tuple[str, str]:
        """The programs that must be installed."""
        return self.compiler[0], self.emulator[0]

    @property
    def linker_script(self) -> str:
        """Where code and data lie."""
        sections = SECTIONS.replace("@CODE@", "FLASH" if "FLASH" in self.memory else "RAM")
        return f"MEMORY {{ {self.memory} }}\nSECTIONS {{\n{sections}}}\n"


CORTEX_M4 = Processor(
    "cortex-m4",
    ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"),
    ("qemu-system-arm", "-M", "mps2-an386", "-cpu", "cortex-m4"),
    START_ARM,
    "FLASH : ORIGIN = 0x0, LENGTH = 4M RAM : ORIGIN = 0x20000000, LENGTH = 4M",
)
RV32 = Processor(
    "rv32imac",
    ("riscv64-unknown-elf-gcc", "--specs=picolibc.specs", "-march=rv32imac", "-mabi=ilp32"),
    ("qemu-system-riscv32", "-M", "virt", "-bios", "none"),
    START_RISCV,
    "RAM : ORIGIN = 0x80000000, LENGTH = 16M",
)
PROCESSORS = {processor.name: processor for processor in (CORTEX_M4, RV32)}
