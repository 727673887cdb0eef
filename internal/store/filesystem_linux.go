package store

import "golang.org/x/sys/unix"

// f_type of statfs(2), from the kernel's include/uapi/linux/magic.h and, for the two that live outside of it, their sources.
const (
	magicXFS = 0x58465342
	magicZFS = 0x2fc12fc1
)

// sharesMemory says whether the file system under dir is one of this machine alone, so that every process which opens a file
// sees the same memory when it maps it, and locks hold. The write-ahead log needs both: over a network (NFS, CIFS, Ceph,
// Lustre, 9p) or through FUSE, behind which most volumes of cloud providers lie, it loses or damages data. Whatever is not
// known to be local is taken for a network.
func sharesMemory(dir string) bool {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return false
	}
	return localMagic(uint32(fs.Type))
}

// room says whether at least so many bytes are free under dir; true where the system does not say.
func room(dir string, least uint64) bool {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return true
	}
	return fs.Bavail*uint64(fs.Bsize) >= least
}

func localMagic(magic uint32) bool {
	switch magic {
	case unix.EXT4_SUPER_MAGIC, // ext2 and ext3 as well
		magicXFS,
		unix.BTRFS_SUPER_MAGIC,
		unix.F2FS_SUPER_MAGIC,
		magicZFS,
		unix.OVERLAYFS_SUPER_MAGIC, // the container's own disk
		unix.TMPFS_MAGIC,
		unix.RAMFS_MAGIC:
		return true
	}
	return false
}
