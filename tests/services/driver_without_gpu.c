/* A CUDA driver and decoder library with nothing behind it: enough of both for FFmpeg to decode
 * H.264 "on a GPU", into pictures of grey bars. What becomes of the pictures then, in FFmpeg, PyAV
 * and Eyrie, is as with a real one. With REFUSES in the environment it decodes no video.
 *
 * Types and order of the structures: NVIDIA's public headers cuda.h and cuviddec.h. */
#include <stdlib.h>
#include <string.h>

typedef unsigned long long pointer;

typedef struct {
    size_t src_x, src_y;
    int src_type;
    const void *src_host;
    pointer src_device;
    void *src_array;
    size_t src_pitch;
    size_t dst_x, dst_y;
    int dst_type;
    void *dst_host;
    pointer dst_device;
    void *dst_array;
    size_t dst_pitch;
    size_t width_bytes, height;
} copy_2d;

typedef struct {
    unsigned long width, height;
} decoder;

enum { HOST = 1, ALIGNMENT = 256 };

typedef struct {
    int codec, chroma;
    unsigned depth_less_8, reserved[3];
    unsigned char is_supported, decoders;
    unsigned short output_formats;
    unsigned most_width, most_height, most_blocks;
    unsigned short least_width, least_height;
} capabilities;

#define NOTHING(name) int name(void) { return 0; }
NOTHING(cuArray3DCreate_v2) NOTHING(cuArrayCreate_v2) NOTHING(cuArrayDestroy)
NOTHING(cuCtxDestroy_v2) NOTHING(cuCtxGetCurrent) NOTHING(cuCtxGetDevice)
NOTHING(cuCtxPushCurrent_v2) NOTHING(cuCtxSetLimit) NOTHING(cuDestroyExternalMemory)
NOTHING(cuDestroyExternalSemaphore) NOTHING(cuDeviceComputeCapability)
NOTHING(cuDeviceGetByPCIBusId) NOTHING(cuDeviceGetLuid) NOTHING(cuDeviceGetPCIBusId)
NOTHING(cuDeviceGetUuid) NOTHING(cuDeviceGetUuid_v2) NOTHING(cuDevicePrimaryCtxGetState)
NOTHING(cuDevicePrimaryCtxRelease) NOTHING(cuDevicePrimaryCtxReset)
NOTHING(cuDevicePrimaryCtxRetain) NOTHING(cuDevicePrimaryCtxSetFlags) NOTHING(cuDriverGetVersion)
NOTHING(cuEGLStreamConsumerDisconnect) NOTHING(cuEGLStreamProducerConnect)
NOTHING(cuEGLStreamProducerDisconnect) NOTHING(cuEGLStreamProducerPresentFrame)
NOTHING(cuEGLStreamProducerReturnFrame) NOTHING(cuEventCreate) NOTHING(cuEventDestroy_v2)
NOTHING(cuEventQuery) NOTHING(cuEventRecord) NOTHING(cuEventSynchronize)
NOTHING(cuExternalMemoryGetMappedBuffer) NOTHING(cuExternalMemoryGetMappedMipmappedArray)
NOTHING(cuGLGetDevices_v2) NOTHING(cuGraphicsGLRegisterImage) NOTHING(cuGraphicsMapResources)
NOTHING(cuGraphicsResourceGetMappedPointer_v2) NOTHING(cuGraphicsSubResourceGetMappedArray)
NOTHING(cuGraphicsUnmapResources) NOTHING(cuGraphicsUnregisterResource)
NOTHING(cuImportExternalMemory) NOTHING(cuImportExternalSemaphore) NOTHING(cuInit)
NOTHING(cuLaunchKernel) NOTHING(cuLinkAddData) NOTHING(cuLinkComplete) NOTHING(cuLinkCreate)
NOTHING(cuLinkDestroy) NOTHING(cuMemAllocManaged) NOTHING(cuMemcpy) NOTHING(cuMemcpy2D_v2)
NOTHING(cuMemcpyAsync) NOTHING(cuMemcpyDtoDAsync_v2) NOTHING(cuMemcpyDtoD_v2)
NOTHING(cuMemcpyDtoHAsync_v2) NOTHING(cuMemcpyDtoH_v2) NOTHING(cuMemcpyHtoDAsync_v2)
NOTHING(cuMemcpyHtoD_v2) NOTHING(cuMemsetD8Async) NOTHING(cuMipmappedArrayDestroy)
NOTHING(cuMipmappedArrayGetLevel) NOTHING(cuModuleGetFunction) NOTHING(cuModuleGetGlobal)
NOTHING(cuModuleLoadData) NOTHING(cuModuleUnload) NOTHING(cuSignalExternalSemaphoresAsync)
NOTHING(cuStreamAddCallback) NOTHING(cuStreamCreate) NOTHING(cuStreamDestroy_v2)
NOTHING(cuStreamQuery) NOTHING(cuStreamSynchronize) NOTHING(cuStreamWaitEvent)
NOTHING(cuTexObjectCreate) NOTHING(cuTexObjectDestroy) NOTHING(cuWaitExternalSemaphoresAsync)
NOTHING(cuvidCreateVideoParser) NOTHING(cuvidCreateVideoSource) NOTHING(cuvidCreateVideoSourceW)
NOTHING(cuvidCtxLock) NOTHING(cuvidCtxLockCreate) NOTHING(cuvidCtxLockDestroy)
NOTHING(cuvidCtxUnlock) NOTHING(cuvidDecodePicture) NOTHING(cuvidDestroyVideoParser)
NOTHING(cuvidDestroyVideoSource) NOTHING(cuvidGetDecodeStatus) NOTHING(cuvidGetSourceAudioFormat)
NOTHING(cuvidGetSourceVideoFormat) NOTHING(cuvidGetVideoSourceState) NOTHING(cuvidParseVideoData)
NOTHING(cuvidReconfigureDecoder) NOTHING(cuvidSetVideoSourceState)

int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return ordinal ? 101 : 0; }
int cuDeviceGetAttribute(int *value, int what, int device) { *value = ALIGNMENT; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "none", length); return 0; }
int cuCtxCreate_v2(void **context, unsigned flags, int device) { *context = (void *)1; return 0; }
int cuCtxPopCurrent_v2(void **context) { if (context) *context = (void *)1; return 0; }
int cuGetErrorName(int error, const char **text) { *text = "refused"; return 0; }
int cuGetErrorString(int error, const char **text) { *text = "refused"; return 0; }

int cuMemAlloc_v2(pointer *memory, size_t bytes)
{
    *memory = (pointer)calloc(1, bytes);
    return 0;
}

int cuMemAllocPitch_v2(pointer *memory, size_t *pitch, size_t width, size_t height, unsigned element)
{
    *pitch = (width + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return cuMemAlloc_v2(memory, *pitch * height);
}

int cuMemFree_v2(pointer memory) { free((void *)memory); return 0; }

int cuMemcpy2DAsync_v2(const copy_2d *c, void *stream)
{
    const char *from = c->src_type == HOST ? c->src_host : (const char *)c->src_device;
    char *to = c->dst_type == HOST ? c->dst_host : (char *)c->dst_device;
    for (size_t row = 0; row < c->height; row++)
        memcpy(to + (c->dst_y + row) * c->dst_pitch + c->dst_x,
               from + (c->src_y + row) * c->src_pitch + c->src_x, c->width_bytes);
    return 0;
}

int cuvidGetDecoderCaps(capabilities *found)
{
    found->is_supported = !getenv("REFUSES");
    found->output_formats = 0xffff;
    found->most_width = found->most_height = 8192;
    found->most_blocks = 262144;
    found->least_width = found->least_height = 16;
    return 0;
}

int cuvidCreateDecoder(decoder **made, const decoder *wanted)
{
    *made = malloc(sizeof(decoder));
    **made = *wanted;
    return 0;
}

int cuvidDestroyDecoder(decoder *one) { free(one); return 0; }

/* NV12: the upper half dark, the lower half light, no colour. */
int cuvidMapVideoFrame64(decoder *one, int index, pointer *memory, unsigned *pitch, void *how)
{
    size_t step = (one->width + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT, luma = step * one->height;
    char *picture = malloc(2 * luma);
    memset(picture, 60, luma / 2);
    memset(picture + luma / 2, 200, luma - luma / 2);
    memset(picture + luma, 128, luma);
    *memory = (pointer)picture;
    *pitch = step;
    return 0;
}

int cuvidUnmapVideoFrame64(decoder *one, pointer memory) { free((void *)memory); return 0; }
