package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

func newExportCommand() *cobra.Command {
	var flags storeFlags
	var format string
	var asEvidence bool
	cmd := &cobra.Command{
		Use:   "export --stream NAME [--from TIME] [--to TIME] [--evidence] out.mkv|out.mp4|out.zip",
		Short: "Export a time range of a stream to one file that any player can seek in",
		Long: `Export a time range of a stream to one file, Matroska or MP4, without re-encoding. It is cut at fragments, so it starts and
ends up to one fragment outside the times given. The file gets its name when it is complete. With - instead of a
file the media is written to the standard output, MP4 in fragments. It only reads the recordings, one segment at a time, and
works with or without a running agent; media that is deleted before it is copied is reported. The name of the file says which
format it has (.mkv, .mp4), unless --format does.

With --evidence it writes a zip archive with the Matroska file, a manifest with the SHA-256 of every fragment, and a signature
by the device's key, which verify --evidence checks anywhere. The agent signs, or where none runs this command, if it may read
the key. One GOP more than asked for is in it.

What was changed on the disk since it was recorded, by the checksum of its fragment, is left out of MP4. In Matroska and in
evidence, which marks it, it is as it is on the disk.

Exit code: 0 when everything was exported as it was recorded, 1 when a recording is damaged or was deleted meanwhile, or something
failed, 2 for wrong arguments.`,
		Example: `  kvs-edge-agent export --stream front-door --from '2026-11-21 04:20' --to '2026-11-21 04:30' out.mp4
  kvs-edge-agent export --stream front-door --last 10m - | ffplay -
  kvs-edge-agent export --stream front-door --last 10m --evidence door.zip`,
		Args: arguments(1, 1, "name one file to export to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.stream == "" {
				return &exitError{exitSettings, errors.New("name the stream to export with --stream")}
			}
			as, err := formatOf(args[0], format)
			if asEvidence {
				as, err = evidenceFormat, checkEvidence(args[0], format)
			}
			if err == nil {
				err = checkOutput(args[0])
			}
			if err != nil {
				return err
			}
			recordings, err := flags.open(cmd.Context())
			if err != nil {
				return err
			}
			defer recordings.close()
			if toStandardOutput(args[0]) {
				return exportToPipe(cmd, recordings, as)
			}
			return exportToFile(cmd, recordings, as, args[0])
		},
	}
	flags.add(cmd)
	cmd.Flags().Lookup("stream").Usage = "the stream"
	cmd.Flags().BoolVar(&asEvidence, "evidence", false, "write an archive of evidence that the device's key signs")
	cmd.Flags().StringVar(&format, "format", "", "mkv or mp4 (default: as the file's name says, else mkv)")
	return cmd
}

func toStandardOutput(name string) bool { return name == "-" || name == "/dev/stdout" }

// checkOutput refuses names under which no export should stand.
func checkOutput(name string) error {
	if toStandardOutput(name) {
		return nil
	}
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return &exitError{exitSettings, fmt.Errorf("%s is a directory: name a file in it, such as %s", name, filepath.Join(name, "out.mkv"))}
	case err == nil:
		return fmt.Errorf("%s exists: delete it, or name another file", name)
	}
	return nil
}

// exportToFile exports beside the file, and renames the export once it is complete.
func exportToFile(cmd *cobra.Command, r recordings, as exportFormat, name string) error {
	out, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.part")
	if err != nil {
		return fmt.Errorf("cannot create a file in %s: %w", filepath.Dir(name), cause(err))
	}
	temporary := out.Name()
	defer func() { _ = os.Remove(temporary) }() // half an export is none; a complete one has another name by then
	bar := newProgress(cmd.ErrOrStderr(), "exporting")
	exported, err := as.file(cmd.Context(), r, out, bar.show)
	bar.end()
	if err = errors.Join(err, out.Chmod(0o640), out.Close()); err != nil {
		return err
	}
	// Not over a file that came meanwhile.
	err = unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, name, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not every file system knows how
		err = os.Rename(temporary, name)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists by now: delete it, or name another file", name)
	}
	if err != nil {
		return fmt.Errorf("cannot give the export its name %s: %w", name, cause(err))
	}
	return reportExport(cmd.OutOrStdout(), name, exported)
}

// exportToPipe exports to the standard output, and says so on the other one.
func exportToPipe(cmd *cobra.Command, r recordings, as exportFormat) error {
	if terminalOf(cmd.OutOrStdout()).present {
		return &exitError{exitSettings, errors.New("the standard output is a terminal, which shows no media: " +
			"pipe it into a program, or name a file")}
	}
	bar := newProgress(cmd.ErrOrStderr(), "exporting")
	exported, err := as.stream(cmd.Context(), r, cmd.OutOrStdout(), bar.show)
	bar.end()
	if err != nil {
		return err
	}
	return reportExport(cmd.ErrOrStderr(), "standard output", exported)
}

// cause is an error of the file system without the path that the sentence names already.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

func reportExport(w io.Writer, name string, e localapi.Media) error {
	_, err := fmt.Fprintf(w, "%s: %s to %s, %s, %s, %s\n", shownName(name), humanize.Millis(e.From.Local()), humanize.Millis(e.To.Local()),
		humanize.Length(e.To.Sub(e.From)), humanize.Count(e.Fragments, "fragment"), humanize.Bytes(e.Bytes))
	incomplete := len(e.Damaged)+len(e.Changed) > 0
	for _, g := range e.Gaps {
		text := "nothing was recorded from %s to %s (%s)\n"
		if g.Deleted {
			text, incomplete = "what was recorded from %s to %s (%s) was deleted before it could be exported\n", true
		}
		_, err = fmt.Fprintf(w, text, humanize.Millis(g.From.Local()), humanize.Millis(g.To.Local()), humanize.Length(g.To.Sub(g.From)))
	}
	for _, d := range e.Damaged {
		_, err = fmt.Fprintf(w, "%s is damaged: what was recorded from %s to %s is not in the export\n", shownName(d.Path),
			humanize.Millis(d.From.Local()), humanize.Millis(d.To.Local()))
	}
	for _, d := range e.Changed {
		_, err = fmt.Fprintf(w, "%s is damaged: what was recorded from %s to %s is in the export as it is on the disk now, "+
			"which is not what was recorded\n", shownName(d.Path), humanize.Millis(d.From.Local()), humanize.Millis(d.To.Local()))
	}
	if len(e.LeftOut) > 0 {
		_, err = fmt.Fprintf(w, "the audio is %s, which players do not play in MP4, and is left out: export to .mkv to have it\n",
			strings.Join(e.LeftOut, " and "))
	}
	if e.AudioTracks > 1 {
		_, err = fmt.Fprintf(w, "the format of the audio changed, so that it is in %d tracks, of which players play one at a time\n",
			e.AudioTracks)
	}
	if e.More {
		_, err = fmt.Fprintln(w, "there are more gaps, or more damaged recordings, than these")
	}
	if err == nil && incomplete {
		return &exitError{code: exitFailure}
	}
	return err
}
