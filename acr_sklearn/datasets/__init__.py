"""Readers of public benchmarks in the files of their authors, and of a folder of tables."""

from acr_sklearn.datasets.anoshift import load_anoshift
from acr_sklearn.datasets.cifar import load_cifar100c
from acr_sklearn.datasets.domain_data import DomainData, LabelledDomain
from acr_sklearn.datasets.folder import load_folder
from acr_sklearn.datasets.mnist import load_medmnist, load_mnist
from acr_sklearn.datasets.mvtec import MVTecProduct, load_mvtec
from acr_sklearn.datasets.omniglot import load_omniglot
from acr_sklearn.datasets.visa import load_visa

__all__ = [
    "DomainData",
    "LabelledDomain",
    "MVTecProduct",
    "load_anoshift",
    "load_cifar100c",
    "load_folder",
    "load_medmnist",
    "load_mnist",
    "load_mvtec",
    "load_omniglot",
    "load_visa",
]
