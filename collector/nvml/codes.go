//go:build linux && cgo

package nvml

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// codeText puts a return code into words. go-nvml's own are a call into the library, which may lack it.
func codeText(code nvml.Return) string {
	words := ""
	switch code {
	case nvml.ERROR_UNINITIALIZED:
		words = "not initialised"
	case nvml.ERROR_INVALID_ARGUMENT:
		words = "invalid argument"
	case nvml.ERROR_NOT_SUPPORTED:
		words = "not supported"
	case nvml.ERROR_NO_PERMISSION:
		words = "no permission"
	case nvml.ERROR_NOT_FOUND:
		words = "not found"
	case nvml.ERROR_DRIVER_NOT_LOADED:
		words = "the NVIDIA driver is not loaded"
	case nvml.ERROR_TIMEOUT:
		words = "timeout"
	case nvml.ERROR_LIBRARY_NOT_FOUND:
		words = "library not found"
	case nvml.ERROR_FUNCTION_NOT_FOUND:
		words = "this driver has no such function"
	case nvml.ERROR_GPU_IS_LOST:
		words = "the GPU is lost: it has fallen off the bus"
	case nvml.ERROR_RESET_REQUIRED:
		words = "the GPU needs a reset"
	case nvml.ERROR_OPERATING_SYSTEM:
		words = "the operating system or its cgroup refuses the GPU"
	case nvml.ERROR_LIB_RM_VERSION_MISMATCH:
		words = "the library and the kernel's driver are of different versions; the driver was replaced: restart the container"
	case nvml.ERROR_GPU_NOT_FOUND:
		words = "no such GPU any more"
	case nvml.ERROR_UNKNOWN:
		words = "unknown error"
	default:
		return fmt.Sprintf("code %d", int(code))
	}
	return fmt.Sprintf("%s (code %d)", words, int(code))
}

// neverHere says that this call will not work on this GPU before the next initialisation.
func neverHere(code nvml.Return) bool {
	switch code {
	case nvml.ERROR_NOT_SUPPORTED, nvml.ERROR_NO_PERMISSION, nvml.ERROR_FUNCTION_NOT_FOUND,
		nvml.ERROR_ARGUMENT_VERSION_MISMATCH, nvml.ERROR_DEPRECATED:
		return true
	}
	return false
}

// notNow says that the call works in general and had nothing to tell at this moment.
func notNow(code nvml.Return) bool {
	switch code {
	case nvml.ERROR_NOT_FOUND, nvml.ERROR_TIMEOUT, nvml.ERROR_NO_DATA, nvml.ERROR_NOT_READY, nvml.ERROR_INSUFFICIENT_SIZE:
		return true
	}
	return false
}

// absentAtInit says of a code of initialisation that NVML cannot answer here in principle, as opposed to a fault.
func absentAtInit(code nvml.Return) bool {
	switch code {
	case nvml.ERROR_LIBRARY_NOT_FOUND, nvml.ERROR_DRIVER_NOT_LOADED, nvml.ERROR_LIB_RM_VERSION_MISMATCH,
		nvml.ERROR_OPERATING_SYSTEM, nvml.ERROR_NOT_FOUND:
		return true
	}
	return neverHere(code)
}

// gone says that the device, or the whole of NVML, is lost until it is initialised anew.
func gone(code nvml.Return) bool {
	switch code {
	case nvml.ERROR_UNINITIALIZED, nvml.ERROR_GPU_IS_LOST, nvml.ERROR_RESET_REQUIRED, nvml.ERROR_GPU_NOT_FOUND:
		return true
	}
	return false
}
