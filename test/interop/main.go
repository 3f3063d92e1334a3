// Verifies logs and proofs of AuditTrail with golang.org/x/mod and filippo.io/torchwood.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing/fstest"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	commands := map[string]func([]string) error{
		"check": check, "proofs": proofs, "events": events, "flips": flips, "quorum": quorum,
	}
	run, ok := commands[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("unknown command %q", os.Args[1]))
	}
	if err := run(os.Args[2:]); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

type bearer struct{ token string }

func (b bearer) RoundTrip(request *http.Request) (*http.Response, error) {
	request.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(request)
}

// check LOCATION VKEY [TOKEN] reads every entry of a directory or URL.
func check(args []string) error {
	var reader torchwood.TileReader
	var err error
	if strings.HasPrefix(args[0], "http") {
		reader, err = torchwood.NewTileFetcher(args[0], torchwood.WithHTTPClient(&http.Client{Transport: bearer{args[2]}}))
	} else {
		reader, err = torchwood.NewTileFS(os.DirFS(args[0]))
	}
	if err != nil {
		return err
	}
	tree, err := verify(reader, args[1])
	if err != nil {
		return err
	}
	fmt.Println(tree.N)
	return nil
}

// verify reads a whole log, and returns its verified tree.
func verify(reader torchwood.TileReader, vkey string) (tlog.Tree, error) {
	ctx := context.Background()
	signed, err := reader.ReadEndpoint(ctx, "checkpoint")
	if err != nil {
		return tlog.Tree{}, err
	}
	tree, err := open(signed, vkey)
	if err != nil || tree.N == 0 {
		return tree, err
	}
	client, err := torchwood.NewClient(reader)
	if err != nil {
		return tree, err
	}
	var read int64
	for range client.AllEntries(ctx, tree, 0) {
		read++
	}
	if err := client.Err(); err != nil {
		return tree, err
	}
	if read != tree.N {
		return tree, fmt.Errorf("read %d entries of %d", read, tree.N)
	}
	return tree, nil
}

// open verifies the signature of a checkpoint, and its origin.
func open(signed []byte, vkey string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	checkpoint, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return tlog.Tree{}, err
	}
	if checkpoint.Origin != verifier.Name() {
		return tlog.Tree{}, errors.New("another origin")
	}
	return checkpoint.Tree, nil
}

// A proof of AuditTrail, and what it is about.
type proof struct {
	Index, From, Size    int64
	Leaf, FromRoot, Root []byte
	Hashes               [][]byte
}

// proofs FILE DIR verifies proofs, one JSON object per line, and compares them with those that x/mod
// makes from the tiles of a directory.
func proofs(args []string) error {
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	reader, err := torchwood.NewTileFS(os.DirFS(args[1]))
	if err != nil {
		return err
	}
	verified := 0
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var given proof
		if err := json.Unmarshal(line, &given); err != nil {
			return err
		}
		if err := verifyProof(given, reader); err != nil {
			return fmt.Errorf("%w: %s", err, line)
		}
		verified++
	}
	fmt.Println(verified)
	return nil
}

func verifyProof(given proof, reader torchwood.TileReader) error {
	var hashes []tlog.Hash
	for _, hash := range given.Hashes {
		hashes = append(hashes, tlog.Hash(hash))
	}
	root := tlog.Hash(given.Root)
	tiles := torchwood.TileHashReaderWithContext(context.Background(), tlog.Tree{N: given.Size, Hash: root}, reader)
	if given.Leaf != nil {
		if err := tlog.CheckRecord(hashes, given.Size, root, given.Index, tlog.Hash(given.Leaf)); err != nil {
			return err
		}
		own, err := tlog.ProveRecord(given.Size, given.Index, tiles)
		return compare(own, hashes, err)
	}
	if err := tlog.CheckTree(hashes, given.Size, root, given.From, tlog.Hash(given.FromRoot)); err != nil {
		return err
	}
	own, err := tlog.ProveTree(given.Size, given.From, tiles)
	return compare(own, hashes, err)
}

func compare(own, given []tlog.Hash, err error) error {
	if err != nil {
		return err
	}
	if len(own) != len(given) {
		return errors.New("another proof")
	}
	for at, hash := range own {
		if hash != given[at] {
			return errors.New("another proof")
		}
	}
	return nil
}

// events VKEY FILE… verifies events by their tlog-proofs.
func events(args []string) error {
	verifier, err := note.NewVerifier(args[0])
	if err != nil {
		return err
	}
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(verifier.Name()), torchwood.SingleVerifierPolicy(verifier))
	if err := verifyEvents(policy, args[1:]); err != nil {
		return err
	}
	fmt.Println(len(args) - 1)
	return nil
}

func verifyEvents(policy torchwood.Policy, paths []string) error {
	for _, path := range paths {
		leaf, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		proof, err := os.ReadFile(path + ".tlog-proof")
		if err != nil {
			return err
		}
		if err := torchwood.VerifyProof(policy, tlog.RecordHash(leaf), proof); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// flips DIR VKEY COUNT SEED changes one bit of the checkpoint, a tile or a bundle, COUNT times, and
// prints how many changes were found and those that were not.
func flips(args []string) error {
	files := fstest.MapFS{}
	var paths []string
	err := filepath.WalkDir(args[0], func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(args[0], path)
		if err != nil || entry.IsDir() || name != "checkpoint" && !strings.HasPrefix(name, "tile/") {
			return err
		}
		data, err := os.ReadFile(path)
		files[name] = &fstest.MapFile{Data: data}
		paths = append(paths, name)
		return err
	})
	if err != nil {
		return err
	}
	count, _ := strconv.Atoi(args[2])
	seed, _ := strconv.ParseUint(args[3], 10, 64)
	random := rand.New(rand.NewPCG(seed, 0))
	found := 0
	for range count {
		path := paths[random.IntN(len(paths))]
		original := files[path].Data
		bit := random.IntN(len(original) * 8)
		changed := bytes.Clone(original)
		changed[bit/8] ^= 1 << (bit % 8)
		if isSameNote(path, original, changed) {
			found++
			continue
		}
		files[path].Data = changed
		reader, err := torchwood.NewTileFS(files)
		if err != nil {
			return err
		}
		if _, err := verify(reader, args[1]); err != nil {
			found++
		} else {
			fmt.Fprintf(os.Stderr, "not found: bit %d of %s\n", bit, path)
		}
		files[path].Data = original
	}
	fmt.Println(found)
	return nil
}

// isSameNote tells whether a change is one of the last bits of the signature's base64, which x/mod
// ignores: the text and the signature are the same.
func isSameNote(path string, original, changed []byte) bool {
	if path != "checkpoint" {
		return false
	}
	text, signature, ok := cut(original)
	otherText, otherSignature, otherOk := cut(changed)
	return ok && otherOk && text == otherText && bytes.Equal(signature, otherSignature)
}

// cut splits a note before its signature, which it decodes.
func cut(signed []byte) (string, []byte, bool) {
	at := bytes.LastIndexByte(bytes.TrimSuffix(signed, []byte("\n")), ' ')
	if at < 0 || !bytes.HasSuffix(signed, []byte("\n")) {
		return "", nil, false
	}
	signature, err := base64.StdEncoding.DecodeString(string(signed[at+1 : len(signed)-1]))
	return string(signed[:at]), signature, err == nil
}
