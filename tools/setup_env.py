"""Bring up `.venv` with everything in `requirements/lock.txt`: `make env`, or this file by itself.

Only the standard library and plain syntax are used, so that an unfit Python 3 can start it too and be told
so. torch comes first, as mmcv's operators are compiled against it; mmcv comes last, as its operators import
the rest and are tried at once. Every stage skips what it finds done, so an interrupted run goes on where it
stopped. Where all is in place, only mmcv's operators are tried: pip's cache may have held an mmcv that was
built for another torch.
"""

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / '.venv'
PYTHON = VENV / 'bin' / 'python'
LOCK = ROOT / 'requirements' / 'lock.txt'
PACKAGE = ROOT / 'setup.py'  # what is installed of this folder itself: commands, requirements
STAMP = VENV / '.ready'
LOG = ROOT / '.venv-setup.log'
SUPPORTED = ('3.10', '3.11', '3.12')
BUILD_TOOLS = ('setuptools', 'wheel', 'packaging', 'ninja', 'psutil', 'numpy')
UNDER_MMCV = ('torch', 'torchvision', 'cv2', 'mmengine')
VENV_GB, UNPACK_GB = 7, 5
JOB_GB = 2
SHOW_EVERY_S = 10


def stop(message):
    sys.exit(f'setup: {message}')


def say(message):
    print(message, flush=True)


# Looking around


def output(*command):
    """What a command prints; '' where it fails or does not exist."""
    command = [str(part) for part in command]
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


def version_of(python):
    return output(python, '-c', 'import sys; print("%d.%d" % sys.version_info[:2])')


def own_version():
    return f'{sys.version_info[0]}.{sys.version_info[1]}'


def import_error(*modules):
    """The last line of what importing these in `.venv` raises; '' where they import."""
    command = [str(PYTHON), '-c', 'import ' + ', '.join(modules)]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    lines = done.stderr.decode(errors='replace').strip().splitlines()
    return (lines or [f'ended with {done.returncode}'])[-1] if done.returncode else ''


# What the machine must have


def check_python():
    own = own_version()
    if own not in SUPPORTED:
        found = [name for name in ('python3.11', 'python3.12', 'python3.10') if version_of(name)]
        hint = f'try: make env PYTHON={found[0]}' if found else 'install one of them'
        stop(f'needs Python 3.10-3.12, but {sys.executable} is {own}; {hint}')
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop(f'{sys.executable} has no venv module; on Debian and Ubuntu: apt install python{own}-venv')


def check_compiler(python):
    """mmcv is compiled against the headers of the Python it is for."""
    compilers = os.environ.get('CXX', '').split()[:1] or ['c++', 'g++']
    if not any(shutil.which(name) for name in compilers):
        hint = 'on Debian and Ubuntu: apt install g++'
        stop(f'needs a C++ compiler ({" or ".join(compilers)}) to build mmcv; {hint}')
    headers = output(python, '-c', 'import sysconfig; print(sysconfig.get_paths()["include"])')
    if not Path(headers, 'Python.h').exists():
        hint = f'on Debian and Ubuntu: apt install python{version_of(python)}-dev'
        stop(f'needs the Python headers ({headers}/Python.h) to build mmcv; {hint}')


def check_disk():
    """The packages, and what pip unpacks and compiles meanwhile: on one filesystem or on two."""
    needs = {}
    for folder, gigabytes in ((ROOT, VENV_GB), (Path(tempfile.gettempdir()), UNPACK_GB)):
        need = needs.setdefault(os.stat(str(folder)).st_dev, [folder, 0])
        need[1] += gigabytes
    for folder, gigabytes in needs.values():
        free = shutil.disk_usage(str(folder)).free / 1e9
        if free < gigabytes:
            stop(f'needs {gigabytes} GB of disk at {folder}, where {free:.1f} GB are free')


# The virtual environment


def venv_fault(this_python):
    """Why `.venv` cannot be used; '' where it can. `this_python`: it has to be of this process's version."""
    if not VENV.exists():
        return 'it does not exist'
    version, pip_script = version_of(PYTHON), VENV / 'bin' / 'pip'
    if not version:
        return 'its Python is gone'
    if version not in SUPPORTED or not (VENV / 'lib' / f'python{version}').is_dir():
        return f'it does not fit the Python {version} that it starts'
    if not pip_script.exists():
        return 'it has no pip'
    if str(VENV) not in pip_script.read_text(errors='replace'):
        return 'it was made in another folder'
    if this_python and version != own_version():
        return f'it is of Python {version}, and {own_version()} is asked for'
    return ''


def make_venv(fault):
    check_python()
    check_compiler(sys.executable)
    if VENV.exists():
        say(f'{VENV} cannot be used, as {fault}: making it anew')
        shutil.rmtree(str(VENV))
    check_disk()
    subprocess.run([sys.executable, '-m', 'venv', str(VENV)], check=True)


def drop_half_installed():
    """pip writes INSTALLER last: a package without it was cut off, and pip would take it for installed."""
    for site in VENV.glob('lib/python3.*/site-packages'):
        cut_off = [info for info in site.glob('*.dist-info') if not (info / 'INSTALLER').exists()]
        for folder in [*cut_off, *site.glob('~*')]:
            shutil.rmtree(str(folder))


def fingerprint():
    return hashlib.sha256(LOCK.read_bytes() + PACKAGE.read_bytes()).hexdigest()


def stamped():
    return STAMP.exists() and STAMP.read_text() == fingerprint()


def ready(this_python):
    return stamped() and not venv_fault(this_python) and not import_error('mmcv.ops')


@contextlib.contextmanager
def alone():
    """One set-up at a time in this folder: a second one waits here for the first."""
    with LOG.open('a') as log:
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f'another set-up of {VENV} is under way: waiting for it')
            fcntl.flock(log, fcntl.LOCK_EX)
        yield log


# Installing


def locked():
    lines = [line.strip() for line in LOCK.read_text().splitlines()]
    return [line for line in lines if line and not line.startswith('#')]


def pinned(*names):
    """The lock's own lines for these distributions, markers included."""
    return [line for line in locked() if line.split('==')[0] in names]


def jobs():
    """Compilers at once: one a core, as far as the memory reaches."""
    memory_gb = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e9
    return max(1, min(len(os.sched_getaffinity(0)), int(memory_gb / JOB_GB)))


def cuda_environment():
    """Hide a GPU whose nvcc is absent or of another CUDA than torch's: mmcv's build would fail on it."""
    probe = 'import torch; from torch.utils.cpp_extension import CUDA_HOME as home; '
    probe += 'print(torch.cuda.is_available(), torch.version.cuda or "-", home or "-")'
    gpu, wanted, home = (output(PYTHON, '-c', probe) or 'False - -').split(maxsplit=2)
    found = re.search(r'release (\d+)', output(Path(home, 'bin', 'nvcc'), '--version'))
    if gpu == 'False' or 'FORCE_CUDA' in os.environ or (found and found.group(1) == wanted.split('.')[0]):
        return {}
    say(f'found no nvcc of CUDA {wanted}: mmcv gets its operators for the CPU only')
    return {'CUDA_VISIBLE_DEVICES': ''}


class Progress:
    """What pip is at, in one line: rewritten on a terminal, now and then in a log."""

    def __init__(self, title):
        self.title = title
        self.started = time.monotonic()
        self.shown = self.started - SHOW_EVERY_S
        self.terminal = sys.stdout.isatty()

    def show(self, line):
        step = re.search(r'\[\d+/\d+\] ', line)
        text = f'compiling {step.group()}' if step else line.strip()
        if not step and not text.startswith(('Collecting', 'Downloading', 'Building', 'Installing')):
            return
        now = time.monotonic()
        if self.terminal or now - self.shown >= SHOW_EVERY_S:
            self.shown = now
            self.write(f'{now - self.started:4.0f} s  {text[:60]}', '' if self.terminal else '\n')

    def write(self, text, end='\n'):
        print(('\r\033[K' if self.terminal else '') + f'{self.title}: {text}', end=end, flush=True)

    def close(self, good):
        self.write(f'{"done" if good else "failed"} ({time.monotonic() - self.started:.0f} s)')


def reason(lines):
    """The line that names the fault: the compiler's first, else Python's last, else pip's last."""
    compiler = [line for line in lines if re.search(r'\S: (fatal )?error: ', line)]
    raised = [line for line in lines if re.match(r'\s*[\w.]*(Error|Exception): ', line)]
    pips = [line for line in lines if line.startswith('ERROR: ')]
    return (compiler[:1] or raised[-1:] or pips[-1:] or ['pip does not say why'])[0].strip()[:300]


def pip(log, title, *args, **variables):
    """Run `pip install`: its output goes into the log, its progress onto the terminal.

    pip inherits the log, and with it the lock: if only this process is killed, the next run waits for pip.
    """
    command = [str(PYTHON), '-m', 'pip', 'install', '-v', '--no-input', *args]
    env = dict(os.environ, MMCV_WITH_OPS='1', PIP_USER='0', PIP_DISABLE_PIP_VERSION_CHECK='1', **variables)
    env.setdefault('MAX_JOBS', str(jobs()))
    env.pop('PYTHONPATH', None)
    streams = {'stdin': subprocess.DEVNULL, 'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT}
    progress, lines = Progress(title), []
    with subprocess.Popen(command, env=env, errors='replace', pass_fds=[log.fileno()], **streams) as process:
        for line in process.stdout:
            log.write(line)
            lines.append(line)
            progress.show(line)
    log.flush()
    progress.close(process.returncode == 0)
    if process.returncode:
        stop(f'{title} failed: {reason(lines)} (the whole output is in {LOG})')


def install_rest(log):
    rest = [line for line in locked() if not line.startswith('onedl-mmcv==')]
    pip(log, '[3/4] everything else', '--no-build-isolation', '--no-deps', *rest)
    if import_error('cv2'):  # both OpenCVs share a folder; the one for servers needs no libGL
        headless = pinned('opencv-python-headless')
        pip(log, '[3/4] OpenCV without a display', '--no-deps', '--force-reinstall', *headless)
    error = import_error(*UNDER_MMCV)
    if error:
        stop(f'what mmcv stands on does not import: {error}')


def install_mmcv(log):
    args = ('--no-build-isolation', '--no-deps', *pinned('onedl-mmcv'))
    variables = cuda_environment()
    pip(log, '[4/4] mmcv (to compile it takes about 11 minutes on 2 cores)', *args, **variables)
    if not import_error('mmcv.ops'):
        return
    again = '[4/4] mmcv once more, as its operators do not load'
    pip(log, again, '--no-cache-dir', '--force-reinstall', *args, **variables)
    error = import_error('mmcv.ops')
    if error:
        stop(f'mmcv was compiled, but its operators do not load: {error}')


def install(log):
    drop_half_installed()
    pip(log, '[1/4] build tools', *pinned(*BUILD_TOOLS))
    torch = pinned('torch', 'torchvision')
    pip(log, '[2/4] torch (about 5 GB with its CUDA runtime)', '-c', str(LOCK), *torch)
    install_rest(log)
    install_mmcv(log)
    pip(log, 'mmlocal', '--no-build-isolation', '--no-deps', '-e', str(ROOT))


def set_up(log, this_python):
    """Bring `.venv` from whatever state it is in to the one that the lock describes."""
    fault = venv_fault(this_python)
    if fault:
        make_venv(fault)
    elif import_error('mmcv.ops'):
        check_compiler(PYTHON)
    only_mmcv = stamped() and not import_error(*UNDER_MMCV)
    if STAMP.exists():
        STAMP.unlink()
    log.truncate(0)
    say(f'Setting up {VENV}: 15-20 minutes where mmcv has to be compiled, 2-3 otherwise')
    (install_mmcv if only_mmcv else install)(log)
    STAMP.write_text(fingerprint())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--this-python', action='store_true', help='remake .venv if it is of another version')
    this_python = parser.parse_args(argv).this_python
    try:
        if ready(this_python):
            return
        with alone() as log:
            if not ready(this_python):
                set_up(log, this_python)
    except KeyboardInterrupt:
        stop('interrupted; the next run goes on from here')
    except (OSError, subprocess.CalledProcessError) as error:
        stop(error)


if __name__ == '__main__':
    main()
