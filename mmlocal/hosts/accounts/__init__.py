"""What the hosts' datasets have read, kept and dropped, by reason."""

from mmlocal.hosts.accounts.account import Account, Dropped, Tally
from mmlocal.hosts.accounts.coco import coco_account, coco_faults
from mmlocal.hosts.accounts.coco_file import CocoFile
from mmlocal.hosts.accounts.files import class_folder_account, pair_account, segmentation_account
from mmlocal.hosts.accounts.lists import class_list_faults
from mmlocal.hosts.accounts.reading import Kept, Reading, current_reading, reading
from mmlocal.hosts.accounts.rules import DatasetRules
from mmlocal.hosts.accounts.voc import voc_account, xml_fault

__all__ = [
    'Account',
    'CocoFile',
    'DatasetRules',
    'Dropped',
    'Kept',
    'Reading',
    'Tally',
    'class_folder_account',
    'class_list_faults',
    'coco_account',
    'coco_faults',
    'current_reading',
    'pair_account',
    'reading',
    'segmentation_account',
    'voc_account',
    'xml_fault',
]
