package atomicfile

import "context"

// While returns a file of which nothing is read and changed once ctx has ended: that then fails with the error of ctx. So nobody can change
// what he could not read. It can still be synced.
func While(ctx context.Context, f File) File { return fileWhile{f, ctx} }

type fileWhile struct {
	File
	ctx context.Context
}

// ReadAt implements File.
func (f fileWhile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// Write implements File.
func (f fileWhile) Write(p []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// WriteAt implements File.
func (f fileWhile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// Truncate implements File.
func (f fileWhile) Truncate(size int64) error {
	if err := f.ctx.Err(); err != nil {
		return err
	}
	return f.File.Truncate(size)
}
