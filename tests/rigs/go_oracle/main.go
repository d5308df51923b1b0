// What Go itself says about names of modules and about module zips.
//
// Lines of JSON come in, [operation, argument...]; a line of JSON with the answer goes out for each. go_oracle.py builds
// this against the copy of golang.org/x/mod that lies in the installed Go, and makes the questions.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for in.Scan() {
		var question []string
		if err := json.Unmarshal(in.Bytes(), &question); err != nil {
			panic(err)
		}
		if err := encoder.Encode(answer(question)); err != nil {
			panic(err)
		}
	}
}

// failure is what an error says, or null.
func failure(err error) any {
	if err == nil {
		return nil
	}
	return err.Error()
}

func answer(question []string) any {
	switch is, arguments := question[0], question[1:]; is {
	case "path":
		err := module.CheckPath(arguments[0])
		escaped, _ := module.EscapePath(arguments[0])
		_, major, _ := module.SplitPathVersion(arguments[0])
		return map[string]any{"error": failure(err), "escaped": escaped, "major": major}
	case "file":
		return failure(module.CheckFilePath(arguments[0]))
	case "unescape-path":
		path, err := module.UnescapePath(arguments[0])
		return map[string]any{"ok": err == nil, "is": path}
	case "unescape-version":
		version, err := module.UnescapeVersion(arguments[0])
		return map[string]any{"ok": err == nil && !strings.Contains(version, "!"), "is": version}
	case "version":
		version := arguments[0]
		time, err := module.PseudoVersionTime(version)
		millis := any(nil)
		if err == nil && time.UnixMilli() >= 0 {
			millis = time.UnixMilli()
		}
		revision, _ := module.PseudoVersionRev(version)
		return map[string]any{
			"canonical": version != "" && module.CanonicalVersion(version) == version,
			"pseudo":    module.IsPseudoVersion(version), "time": millis, "revision": revision,
			"major": semver.Major(version), "prerelease": semver.Prerelease(version) != "",
		}
	case "fits":
		return module.Check(arguments[0], arguments[1]) == nil
	case "compare":
		return semver.Compare(arguments[0], arguments[1])
	case "pattern":
		_, err := path.Match(arguments[0], "")
		return map[string]any{"ok": err == nil, "covers": module.MatchPrefixPatterns(arguments[0], arguments[1])}
	case "letters":
		return ranges(unicode.IsLetter)
	case "folds":
		return folds()
	case "zip":
		return checkZip(arguments[0], arguments[1], arguments[2])
	}
	panic("no such operation: " + question[0])
}

// ranges lists [first, last] of the characters beyond ASCII that something holds for.
func ranges(is func(rune) bool) [][2]rune {
	var all [][2]rune
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !is(r) {
			continue
		}
		if n := len(all); n > 0 && all[n-1][1] == r-1 {
			all[n-1][1] = r
		} else {
			all = append(all, [2]rune{r, r})
		}
	}
	return all
}

// folds lists the characters that are one where case is not told apart, for each set of two and more.
func folds() []string {
	var all []string
	for r := rune(0); r <= unicode.MaxRune; r++ {
		set := []rune{r}
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			set = append(set, next)
			least = min(least, next)
		}
		if len(set) > 1 && least == r {
			all = append(all, string(set))
		}
	}
	return all
}

// checkZip does with a zip what the go command does: checks it, hashes it and unpacks it.
func checkZip(modulePath, version, encoded string) any {
	bytes, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		panic(err)
	}
	folder, err := os.MkdirTemp("", "oracle")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	file := filepath.Join(folder, "module.zip")
	if err := os.WriteFile(file, bytes, 0o600); err != nil {
		panic(err)
	}
	refused := func(err error) any {
		return map[string]any{"error": strings.ReplaceAll(err.Error(), folder, "")}
	}
	of := module.Version{Path: modulePath, Version: version}
	if _, err := zip.CheckZip(of, file); err != nil {
		return refused(err)
	}
	h1, err := dirhash.HashZip(file, dirhash.Hash1)
	if err != nil {
		return refused(err)
	}
	if err := zip.Unzip(filepath.Join(folder, "out"), of, file); err != nil {
		return refused(err)
	}
	return map[string]any{"h1": h1}
}
