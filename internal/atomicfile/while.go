package atomicfile

import "context"

// While returns a file of which nothing is read once ctx has ended; reading it then fails with the error of ctx.
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
