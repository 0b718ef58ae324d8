//! The device: its memory, and kernels of generated code on it, through NVIDIA's driver, which is loaded when it is needed.

use std::{
    cell::Cell,
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    mem::MaybeUninit,
    ptr::{self, NonNull},
    sync::{Mutex, OnceLock, PoisonError},
};

use cudarc::driver::sys::{
    self, CUdevice_attribute, CUfunction, CUfunction_attribute, CUmemAttach_flags, CUmodule, CUresult,
};
use seqc_abi::{
    device::{BLOCK_MEMBERS, MEMBER_THREADS, SHARED_BYTES, STACK_BYTES},
    frame,
};

use crate::{Error, Result};

/// Threads of a block.
const BLOCK: usize = BLOCK_MEMBERS * MEMBER_THREADS;
/// Blocks of a multiprocessor: registers of that many threads are there for every kernel.
const BLOCKS: usize = 1;

/// The device that kernels run on.
pub(crate) struct Device {
    /// Its name, as the driver says it.
    pub(crate) name: String,
    /// Warps that run at once.
    pub(crate) members: usize,
    context: sys::CUcontext,
    /// What a kernel is given: the frame, and all stacks.
    frame: *mut u64,
    stacks: *mut u8,
    kernels: Mutex<Kernels>,
}

/// The code of a device, and its kernels by name.
#[derive(Default)]
struct Kernels {
    module: Option<CUmodule>,
    found: Vec<(String, CUfunction)>,
}

// SAFETY: handles of the driver may be used by any thread; kernels run one at a time.
unsafe impl Send for Device {}
// SAFETY: as above.
unsafe impl Sync for Device {}

/// The device that was chosen before anything was computed.
static NUMBER: OnceLock<usize> = OnceLock::new();

/// Chooses a device by its number, as the driver counts them; later choices have no effect.
pub(crate) fn choose(number: usize) {
    let _ = NUMBER.set(number);
}

/// The device.
///
/// # Errors
///
/// No driver, no device, or one that is too old.
pub(crate) fn device() -> Result<&'static Device> {
    static DEVICE: OnceLock<std::result::Result<Device, String>> = OnceLock::new();
    let found = DEVICE.get_or_init(|| Device::open(NUMBER.get().copied().unwrap_or(0)));
    found.as_ref().map_err(|message| Error::Failed(message.clone()))
}

/// The device for people, or why there is none.
pub(crate) fn described() -> String {
    match device() {
        Ok(device) => format!(
            "{}, {} groups of {MEMBER_THREADS} threads at once",
            device.name, device.members
        ),
        Err(error) => format!("none: {error}"),
    }
}

/// `bytes` zeros that process and device see.
pub(crate) fn allocate(bytes: usize) -> Option<NonNull<u8>> {
    device().ok()?.allocate(bytes).ok().and_then(NonNull::new)
}

/// Gives memory back.
///
/// # Safety
///
/// It is of [`allocate`], and nobody uses it any more.
pub(crate) unsafe fn free(start: *mut u8) {
    if let Ok(device) = device() {
        // SAFETY: the caller's promise.
        let _ = device.current().map(|()| unsafe { sys::cuMemFree_v2(start as u64) });
    }
}

/// What the driver says of a result that is not success.
fn checked(result: CUresult, what: &str) -> std::result::Result<(), String> {
    if result == CUresult::CUDA_SUCCESS {
        return Ok(());
    }
    let mut text: *const c_char = ptr::null();
    // SAFETY: the driver sets the pointer to a constant text, or leaves it.
    unsafe { sys::cuGetErrorString(result, &mut text) };
    let text = match text.is_null() {
        true => format!("{result:?}"),
        // SAFETY: not null, hence a text of the driver's.
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    };
    Err(format!("{what}: {text}"))
}

impl Device {
    fn open(number: usize) -> std::result::Result<Device, String> {
        // SAFETY: asks for a shared library alone.
        if !unsafe { sys::is_culib_present() } {
            return Err(
                "no CUDA driver here: this program needs a GPU of NVIDIA with its driver; build without --target cuda for the processor"
                    .to_owned(),
            );
        }
        // SAFETY: calls of the driver with memory for their results.
        unsafe {
            checked(sys::cuInit(0), "the CUDA driver does not start")?;
            let mut count: c_int = 0;
            checked(sys::cuDeviceGetCount(&mut count), "devices cannot be counted")?;
            if number >= count.max(0) as usize {
                return Err(match count {
                    0 => "no CUDA device here".to_owned(),
                    n => format!("no CUDA device {number} here: their numbers are 0 to {}", n - 1),
                });
            }
            let mut handle: sys::CUdevice = 0;
            checked(
                sys::cuDeviceGet(&mut handle, number as c_int),
                "the device cannot be used",
            )?;
            let attribute = |which: CUdevice_attribute| {
                let mut value: c_int = 0;
                checked(
                    sys::cuDeviceGetAttribute(&mut value, which, handle),
                    "the device does not say what it is",
                )?;
                Ok::<c_int, String>(value)
            };
            let mut name = [0 as c_char; 256];
            checked(
                sys::cuDeviceGetName(name.as_mut_ptr(), name.len() as c_int, handle),
                "the device has no name",
            )?;
            let name = CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned();
            let major = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
            let minor = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
            if major < 8 {
                return Err(format!(
                    "{name} has compute capability {major}.{minor}, this program needs 8.0 or later"
                ));
            }
            if attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS)? == 0
                || attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH)? == 0
            {
                return Err(format!(
                    "{name} has no unified memory or no cooperative kernels here, which this program needs"
                ));
            }
            let multiprocessors = attribute(CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
            let mut context: sys::CUcontext = ptr::null_mut();
            checked(
                sys::cuDevicePrimaryCtxRetain(&mut context, handle),
                "the device has no context",
            )?;
            let mut device = Device {
                name,
                members: multiprocessors.max(1) as usize * BLOCKS * BLOCK_MEMBERS,
                context,
                frame: ptr::null_mut(),
                stacks: ptr::null_mut(),
                kernels: Mutex::default(),
            };
            device.frame = device.allocate(frame::SLOTS * size_of::<u64>())?.cast();
            device.stacks = device.allocate(device.members * STACK_BYTES)?;
            Ok(device)
        }
    }

    /// Makes the device that of this thread.
    fn current(&self) -> std::result::Result<(), String> {
        // SAFETY: the context lives as long as the process.
        checked(
            unsafe { sys::cuCtxSetCurrent(self.context) },
            "the device cannot be used",
        )
    }

    fn allocate(&self, bytes: usize) -> std::result::Result<*mut u8, String> {
        self.current()?;
        let mut start = MaybeUninit::<sys::CUdeviceptr>::uninit();
        let attach = CUmemAttach_flags::CU_MEM_ATTACH_GLOBAL as c_uint;
        // SAFETY: the driver sets the pointer to so many bytes, which are nobody else's.
        unsafe {
            checked(
                sys::cuMemAllocManaged(start.as_mut_ptr(), bytes, attach),
                "no memory on the device",
            )?;
            let start = start.assume_init();
            checked(sys::cuMemsetD8_v2(start, 0, bytes), "memory cannot be cleared")?;
            checked(sys::cuCtxSynchronize(), "memory cannot be cleared")?;
            Ok(start as *mut u8)
        }
    }

    /// The kernel of a name.
    fn kernel(&self, code: &CStr, name: &CStr) -> std::result::Result<CUfunction, String> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = name.to_string_lossy();
        if let Some((_, function)) = kernels.found.iter().find(|(known, _)| *known == wanted) {
            return Ok(*function);
        }
        let module = match kernels.module {
            Some(module) => module,
            None => {
                let mut module: CUmodule = ptr::null_mut();
                // SAFETY: the code ends with a zero byte.
                let loaded = unsafe { sys::cuModuleLoadData(&mut module, code.as_ptr().cast()) };
                checked(loaded, "the driver does not take the code of this program")?;
                kernels.module = Some(module);
                module
            }
        };
        let mut function: CUfunction = ptr::null_mut();
        // SAFETY: the module is loaded.
        let found = unsafe { sys::cuModuleGetFunction(&mut function, module, name.as_ptr()) };
        checked(found, "a kernel is missing")?;
        // More than the 48 KiB that every kernel may have must be asked for.
        let shared = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        // SAFETY: the function is of the module.
        let granted = unsafe { sys::cuFuncSetAttribute(function, shared, SHARED_BYTES as c_int) };
        checked(granted, "the device has too little shared memory")?;
        kernels.found.push((wanted.into_owned(), function));
        Ok(function)
    }

    /// Runs a kernel to its end.
    ///
    /// # Safety
    ///
    /// The frame is what the kernel expects.
    unsafe fn launch(&self, code: &CStr, name: &CStr, slots: *const u64) -> std::result::Result<(), String> {
        self.current()?;
        let function = self.kernel(code, name)?;
        let (mut frame, mut stacks) = (self.frame, self.stacks);
        let mut arguments: [*mut c_void; 2] = [(&raw mut frame).cast(), (&raw mut stacks).cast()];
        let blocks = self.members / BLOCK_MEMBERS;
        // SAFETY: one kernel runs at a time, so that nobody reads the device's frame now; the caller's promise.
        unsafe {
            ptr::copy_nonoverlapping(slots, self.frame, frame::SLOTS);
            checked(
                sys::cuLaunchCooperativeKernel(
                    function,
                    blocks as c_uint,
                    1,
                    1,
                    BLOCK as c_uint,
                    1,
                    1,
                    SHARED_BYTES as c_uint,
                    ptr::null_mut(),
                    arguments.as_mut_ptr(),
                ),
                "a kernel does not start",
            )?;
            checked(sys::cuCtxSynchronize(), "a kernel failed")
        }
    }
}

thread_local! {
    /// Why a kernel that this thread started did not end well.
    static FAILED: Cell<Option<String>> = const { Cell::new(None) };
}

/// How the kernels ended that this thread started since it asked last.
///
/// # Errors
///
/// One did not start, or failed: what it wrote is of no use.
pub(crate) fn outcome() -> Result<()> {
    FAILED.take().map_or(Ok(()), |message| Err(Error::Failed(message)))
}

/// What entries of generated code call: runs the kernel of a name. [`outcome`] says how it ended.
///
/// # Safety
///
/// `code` is so many bytes and a zero byte, `kernel` a name in it, and the frame what that expects.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn seqc_launch(code: *const u8, length: u64, kernel: *const c_char, slots: *const u64) {
    // SAFETY: the caller's promise.
    let (code, kernel) = unsafe {
        let bytes = std::slice::from_raw_parts(code, length as usize + 1);
        (CStr::from_bytes_with_nul(bytes), CStr::from_ptr(kernel))
    };
    let code = code.map_err(|error| format!("the code of this program is broken: {error}"));
    // SAFETY: the caller's promise.
    let done = code.and_then(|code| {
        device()
            .map_err(|e| e.to_string())
            .and_then(|d| unsafe { d.launch(code, kernel, slots) })
    });
    // Generated code has no way to fail: who called it asks.
    if let Err(message) = done {
        FAILED.set(Some(message));
    }
}
